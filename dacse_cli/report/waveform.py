"""Samples -> the outline of a waveform, as small whole numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FULL = 100
"""Value of a full-scale sample."""


def outline(samples: NDArray[np.float32], columns: int) -> tuple[list[int], list[int]]:
    """(lowest, highest) sample of each of at most `columns` stretches of `samples` [S], in 1/FULL."""
    return envelope(samples, samples, columns)


def envelope(
    low: NDArray[np.float32], high: NDArray[np.float32], columns: int
) -> tuple[list[int], list[int]]:
    """Like `outline`, from the lowest and highest values of steps of equal length, `[n]` each."""
    if not low.size:
        return [], []
    starts = np.unique(np.linspace(0, low.size, columns, endpoint=False).astype(np.int64))
    lowest, highest = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    return _whole(lowest), _whole(highest)


def _whole(values: NDArray[np.float32]) -> list[int]:
    return [int(value) for value in np.clip(np.rint(values * FULL), -FULL, FULL)]
