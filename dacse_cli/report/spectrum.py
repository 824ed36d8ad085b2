"""Samples -> a spectrogram as a small picture: time to the right, mel-spaced frequencies upwards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = 48
"""Shades of a picture: 1.7 dB each."""
RANGE_DB = 80.0
WINDOW_SECONDS = 0.032


def power(
    samples: NDArray[np.float32], rate: int, columns: int, rows: int, top: float
) -> NDArray[np.float64]:
    """Mean power in dB, `[rows, columns]`, row 0 at the top (`top` Hz). `samples` are `[S]`."""
    size = 1 << round(np.log2(WINDOW_SECONDS * rate))
    starts, group = _starts(samples.size, size, columns)
    padded = np.pad(samples, (size // 2, size))
    window = np.hanning(size)
    spread = _mel_matrix(rows, size, rate, top)
    out = np.empty((rows, columns))
    for column in range(columns):
        frames = np.stack([padded[s : s + size] for s in starts[column * group : (column + 1) * group]])
        bins = (np.abs(np.fft.rfft(frames * window)) ** 2).mean(axis=0)
        out[:, column] = spread @ bins
    return 10 * np.log10(out[::-1] / np.sum(window) ** 2 + 1e-12)


def shades(levels: NDArray[np.float64], loudest: float) -> NDArray[np.uint8]:
    """Levels in dB -> shades 0..LEVELS-1 on a scale that ends at `loudest` dB."""
    share = (levels - loudest + RANGE_DB) / RANGE_DB
    return np.asarray(np.clip(share * LEVELS, 0, LEVELS - 1), np.uint8)


def ticks(top: float) -> list[tuple[int, float]]:
    """(Hz, height as a share from the bottom) of the labelled frequencies below `top`."""
    named = [500, 1000, 2000, 4000, 8000, 16_000]
    return [(hz, float(_mel(hz) / _mel(top))) for hz in named if hz < 0.97 * top]


def _starts(samples: int, size: int, columns: int) -> tuple[NDArray[np.int64], int]:
    """First samples of all frames, and frames per column: enough frames to cover every sample."""
    group = max(1, -(-samples // (columns * (size // 2))))
    return np.linspace(0, max(samples - 1, 0), columns * group).astype(np.int64), group


def _mel(hz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + np.asarray(hz) / 700))


def _mel_matrix(rows: int, size: int, rate: int, top: float) -> NDArray[np.float64]:
    """`[rows, bins]`: triangles around mel-spaced frequencies, never narrower than a bin on each side."""
    bins = np.fft.rfftfreq(size, 1 / rate)
    edges = 700 * (10 ** (np.linspace(0, _mel(top), rows + 2) / 2595) - 1)
    centre = edges[1:-1, None]
    below = np.maximum(centre - edges[:-2, None], rate / size)
    above = np.maximum(edges[2:, None] - centre, rate / size)
    rise, fall = 1 - (centre - bins) / below, 1 - (bins - centre) / above
    triangles = np.clip(np.minimum(rise, fall), 0, None)
    return np.asarray(triangles / np.maximum(triangles.sum(axis=1, keepdims=True), 1e-9))
