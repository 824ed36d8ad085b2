"""From measures to a verdict. The thresholds are those of `tests/benchmarks/bench_guard.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dacse_cli.pipeline.guard.frames import Frames
from dacse_cli.pipeline.guard.measures import FLOOR, LOUD_DB, Measures, measure

WINDOW, STEP, WHOLE = 100, 50, 125
"""Frames: longer than `WHOLE`, a chunk is judged in windows, so that one wrong second in four is seen."""


@dataclass(frozen=True)
class Thresholds:
    """What an answer may do before it is doubted. Seconds of evidence are counted in frames of 10 ms."""

    excess: float
    """dB that it may be louder than the input, on average over its loud parts."""
    pitch: float
    """Share of its periodicity that the input must have, too."""
    voiced: int
    """Voiced frames without which nothing is said about pitch and gain."""
    gain: float
    """dB that voiced speech may be louder than it was."""
    kept: float
    """dB to which voiced speech may fall (negative)."""
    spoken: int
    """Clearly voiced frames of the input without which nothing can have been dropped."""


THRESHOLDS = {
    "normal": Thresholds(excess=1.8, pitch=0.3, voiced=8, gain=9.0, kept=-9.0, spoken=4),
    "strict": Thresholds(excess=1.0, pitch=0.35, voiced=8, gain=7.0, kept=-8.0, spoken=4),
}


def doubts(measures: Measures, limits: Thresholds) -> list[str]:
    """Why an answer is not believed, as stable words; empty where it is."""
    found = []
    if measures.excess > limits.excess:
        found.append("invented")
    if measures.voiced >= limits.voiced and measures.pitch < limits.pitch:
        found.append("other-pitch")
    if measures.voiced >= limits.voiced and measures.gain > limits.gain:
        found.append("too-loud")
    if measures.spoken >= limits.spoken and measures.kept < limits.kept:
        found.append("dropped")
    return found


def windows(frames: int) -> list[tuple[int, int]]:
    """Parts `[start, stop)` in which a chunk of so many frames is judged; together they are all of it."""
    if frames <= WHOLE:
        return [(0, frames)]
    starts = list(range(0, frames - WINDOW, STEP))
    return [(start, start + WINDOW) for start in starts[:-1]] + [(starts[-1], frames)]


def judge(heard: Frames, said: Frames, loudest: float, limits: Thresholds) -> list[str]:
    """Doubts about an answer in any of its windows, each once. `loudest`: band power heard around here."""
    found: list[str] = []
    for start, stop in windows(min(len(heard), len(said))):
        measures = measure(heard.part(start, stop), said.part(start, stop), loudest)
        found += [doubt for doubt in doubts(measures, limits) if doubt not in found]
    return found


def loudness(frames: Frames) -> float:
    """Band power that all but the loudest instants stay below."""
    return float(np.quantile(frames.bands.max(axis=1), 0.98))


def sounds(said: Frames, start: int, stop: int, loudest: float) -> bool:
    """Whether frames `[start, stop)` of an answer are sound, not its silence."""
    part = said.bands[start:stop].max(axis=1, initial=0.0)
    least = max(FLOOR, loudest * 10 ** (-LOUD_DB / 10))
    return bool(len(part) and np.median(part) > least)
