"""The level of samples."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
"""Mono audio, `[S]`, 1.0 is full scale."""

FULL_SCALE = 0.98
"""Highest peak of written files."""
FRAME = 0.025
"""Seconds over which the level of active speech is measured."""
PAUSE = 1e-3
"""Share of the loudest frame's power below which a frame counts as a pause (-30 dB)."""


def power(signal: Samples) -> float:
    """Mean square of `signal`."""
    return float(np.mean(np.square(signal, dtype=np.float64))) if len(signal) else 0.0


def rms(signal: Samples) -> float:
    """Root mean square of `signal`."""
    return float(np.sqrt(power(signal)))


def active_rms(signal: Samples, rate: int) -> float:
    """Root mean square of `signal` without its pauses; 0 for silence."""
    frame = round(FRAME * rate)
    if len(signal) < frame:
        return rms(signal)
    frames = signal[: len(signal) // frame * frame].reshape(-1, frame)
    powers = np.einsum("ij,ij->i", frames, frames) / frame
    loudest = powers.max()
    return float(np.sqrt(powers[powers > PAUSE * loudest].mean())) if loudest > 0 else 0.0


def gain_of(decibels: float) -> float:
    """The amplitude factor of `decibels`."""
    return float(10.0 ** (decibels / 20.0))
