"""Slaney's triangular mel filters, for any rate, window and number of bands."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BREAK_HZ, _HZ_PER_MEL, _LOG_STEP = 1000.0, 200.0 / 3.0, np.log(6.4) / 27.0


def mel_filters(rate: int, window: int, bands: int) -> Tensor:
    """Filters `[bands, window / 2 + 1]` from 0 Hz to half of `rate`, each of unit area in Hz; float64."""
    corners = _hz(np.linspace(0.0, _mel(rate / 2), bands + 2))
    bins = np.linspace(0.0, rate / 2, window // 2 + 1)
    widths = np.diff(corners)
    slopes = corners[:, None] - bins
    rising, falling = -slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]
    triangles: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return torch.from_numpy(triangles * (2.0 / (corners[2:] - corners[:-2]))[:, None])


def _mel(hz: float) -> float:
    """Linear up to 1 kHz, logarithmic above. `hz` is at least 1 kHz."""
    return float(_BREAK_HZ / _HZ_PER_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP)


def _hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _BREAK_HZ * np.exp(_LOG_STEP * (mels - _BREAK_HZ / _HZ_PER_MEL))
    linear: NDArray[np.float64] = mels * _HZ_PER_MEL
    return np.where(linear >= _BREAK_HZ, above, linear)
