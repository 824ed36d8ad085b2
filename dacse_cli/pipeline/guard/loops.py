"""Codes that repeat: the same frame, or the same few frames, again and again. Integers only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST_PERIOD = 0.25
"""Seconds. Longer repetitions are whole syllables, which `measures` finds."""
SHORTEST_RUN = 0.3
COARSE = 4
"""Codebooks that must repeat; the codes of deeper ones are nearly random."""


@dataclass(frozen=True)
class Repetition:
    """Frames `[start, stop)` that repeat with `period` frames."""

    start: int
    stop: int
    period: int


def find_repetitions(codes: NDArray[np.int16], frame_rate: float) -> list[Repetition]:
    """The longest run of each period in codes `[K, T]` that lasts for `SHORTEST_RUN` and three periods."""
    coarse, frames = codes[:COARSE], codes.shape[1]
    found: list[Repetition] = []
    if frames < SHORTEST_RUN * frame_rate:
        return found
    for period in range(1, min(round(LONGEST_PERIOD * frame_rate), frames // 3) + 1):
        same = (coarse[:, period:] == coarse[:, :-period]).all(axis=0)
        start, stop = _longest_run(same)
        if stop - start >= max(SHORTEST_RUN * frame_rate - period, 2 * period):
            found.append(Repetition(start, stop + period, period))
    return found


def _longest_run(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """`[start, stop)` of the longest run of True; empty where there is none."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    if not len(edges):
        return 0, 0
    starts, stops = edges[::2], edges[1::2]
    longest = int((stops - starts).argmax())
    return int(starts[longest]), int(stops[longest])


def repeats(codes: NDArray[np.int16], repetition: Repetition) -> bool:
    """Whether codes `[K, T]` repeat at the same place with the same period, by half or more."""
    part = codes[:COARSE, repetition.start : repetition.stop]
    return bool((part[:, repetition.period :] == part[:, : -repetition.period]).all(axis=0).mean() >= 0.5)
