"""Gains against the noise between the harmonics; its power is estimated where there is no speech.

The noise power of each bin is an exponentially weighted mean over past frames, weighted also by the share of
each frame that is not speech. Gains are Wiener's with the decision-directed estimate of Ephraim and Malah
(1984), which avoids musical noise. Causal, so it can be used on a stream.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Energies = NDArray[np.float64]

MEMORY_SECONDS = 1.0
"""Time constant of the noise estimate: noise from this long ago has a weight of 1/e."""
SMOOTHING = 0.9
"""Weight of the previous frame in a frame's signal-to-noise ratio."""
LEAST_RATIO = 10**-2.5
"""Lowest signal-to-noise ratio, -25 dB; lower estimates are random."""
MIN_WEIGHT = 1e-3
"""Frames of noise added to the divisor of the mean: with less noise than this, the estimate stays low."""
TINY = 1e-12


class WienerGains:
    """Gains for `channels` streams of spectra with `bins` bins, one frame every `hop` seconds."""

    def __init__(self, channels: int, bins: int, hop: float) -> None:
        self._keep = math.exp(-hop / MEMORY_SECONDS)
        self._power = np.zeros((channels, bins))
        self._weight = np.zeros((channels, bins))
        self._before = np.zeros((channels, bins))
        """Signal-to-noise ratio of the last frame, after its gain."""

    def gains(self, energies: Energies, speech: Energies) -> Energies:
        """Energies, and the share of speech in them (0 to 1), `[C, T, F]` -> gains `[C, T, F]`, 0 to 1."""
        gains = np.empty_like(energies)
        for t in range(energies.shape[1]):
            gains[:, t] = self._frame(energies[:, t], np.maximum(1 - speech[:, t], 0))
        return gains

    def _frame(self, energy: Energies, noise_share: Energies) -> Energies:
        self._power = self._keep * self._power + noise_share * energy
        self._weight = self._keep * self._weight + noise_share
        noise = self._power / (self._weight + MIN_WEIGHT)
        ratio = energy / (noise + TINY)
        signal = SMOOTHING * self._before + (1 - SMOOTHING) * np.maximum(ratio - 1, 0)
        signal = np.maximum(signal, LEAST_RATIO)
        gain: Energies = signal / (1 + signal)
        self._before = np.square(gain) * ratio
        return gain
