"""Measures -> doubts. The thresholds are those of `tests/benchmarks/bench_guard.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dacse_cli.pipeline.guard.frames import Frames
from dacse_cli.pipeline.guard.measures import FLOOR, LOUD_DB, Measures, measure

WINDOW, STEP, WHOLE = 100, 50, 125
"""Frames. A chunk longer than `WHOLE` is judged in windows, so that one wrong second in four is found."""


@dataclass(frozen=True)
class Thresholds:
    """How far an output may differ from its input before it is doubted. Frames are 10 ms long."""

    excess: float
    """dB by which it may be louder than the input, on average over its loud parts."""
    pitch: float
    """Share of its periodicity that the input must also have."""
    voiced: int
    """Least number of voiced frames for a doubt about pitch or gain."""
    gain: float
    """dB by which voiced speech may be louder than in the input."""
    kept: float
    """dB to which voiced speech may fall (negative)."""
    spoken: int
    """Least number of clearly voiced frames in the input for `dropped`."""


THRESHOLDS = {
    "normal": Thresholds(excess=1.8, pitch=0.3, voiced=8, gain=9.0, kept=-9.0, spoken=4),
    "strict": Thresholds(excess=1.0, pitch=0.35, voiced=8, gain=7.0, kept=-8.0, spoken=4),
}


def doubts(measures: Measures, limits: Thresholds) -> list[str]:
    """The reasons to doubt an output, as stable codes; empty where there are none."""
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
    """Windows `[start, stop)` in which a chunk of `frames` frames is judged; together they cover it."""
    if frames <= WHOLE:
        return [(0, frames)]
    starts = list(range(0, frames - WINDOW, STEP))
    return [(start, start + WINDOW) for start in starts[:-1]] + [(starts[-1], frames)]


def judge(heard: Frames, said: Frames, loudest: float, limits: Thresholds) -> list[str]:
    """Doubts about an output in any of its windows, each once. `loudest` is the nearby input's band power."""
    found: list[str] = []
    for start, stop in windows(min(len(heard), len(said))):
        measures = measure(heard.part(start, stop), said.part(start, stop), loudest)
        found += [doubt for doubt in doubts(measures, limits) if doubt not in found]
    return found


def loudness(frames: Frames) -> float:
    """Band power that is exceeded in 2 % of the frames only."""
    return float(np.quantile(frames.bands.max(axis=1), 0.98))


def sounds(said: Frames, start: int, stop: int, loudest: float) -> bool:
    """Whether frames `[start, stop)` of an output are audible."""
    part = said.bands[start:stop].max(axis=1, initial=0.0)
    least = max(FLOOR, loudest * 10 ** (-LOUD_DB / 10))
    return bool(len(part) and np.median(part) > least)
