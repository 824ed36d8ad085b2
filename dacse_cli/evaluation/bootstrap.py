"""Means over files with confidence intervals, by resampling the files."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEVEL = 0.95
DRAWS_AT_ONCE = 1 << 20


class Estimate(NamedTuple):
    """A mean over files, and the ends of its 95 % interval (None for a single file)."""

    mean: float
    low: float | None
    high: float | None
    files: int


def resampled_means(totals: Floats, counts: Floats, resamples: int, seed: int) -> Floats:
    """Mean sum(totals) / sum(counts) of `resamples` draws of N files out of N, with replacement.

    The same seed and N draw the same files, so the means of two systems over the same files can be
    subtracted one by one. A draw whose counts are all 0 is NaN.
    """
    rng = np.random.default_rng(seed)
    N = totals.size
    out = np.empty(resamples)
    block = max(1, DRAWS_AT_ONCE // N)
    for start in range(0, resamples, block):
        drawn = rng.integers(N, size=(min(block, resamples - start), N))
        with np.errstate(invalid="ignore", divide="ignore"):
            out[start : start + len(drawn)] = totals[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    out[~np.isfinite(out)] = np.nan
    return out


def _interval(draws: Floats) -> tuple[float, float] | tuple[None, None]:
    if np.isnan(draws).all():
        return None, None
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def estimate(totals: Floats, counts: Floats, resamples: int, seed: int) -> Estimate | None:
    """Corpus-level mean sum(totals) / sum(counts) and its percentile interval; None without any count."""
    if counts.sum() == 0:
        return None
    mean = float(totals.sum() / counts.sum())
    low, high = (
        (None, None) if totals.size < 2 else _interval(resampled_means(totals, counts, resamples, seed))
    )
    return Estimate(mean, low, high, totals.size)


def difference(
    ours: tuple[Floats, Floats], theirs: tuple[Floats, Floats], resamples: int, seed: int
) -> Estimate | None:
    """Mean of `ours` minus mean of `theirs`, each (totals, counts) over the same files in the same order.

    The interval is that of the paired difference: both are drawn with the same files.
    """
    if ours[1].sum() == 0 or theirs[1].sum() == 0:
        return None
    mean = float(ours[0].sum() / ours[1].sum() - theirs[0].sum() / theirs[1].sum())
    if ours[0].size < 2:
        return Estimate(mean, None, None, ours[0].size)
    draws = resampled_means(*ours, resamples, seed) - resampled_means(*theirs, resamples, seed)
    low, high = _interval(draws)
    return Estimate(mean, low, high, ours[0].size)
