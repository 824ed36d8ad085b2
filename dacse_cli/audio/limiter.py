"""A look-ahead limiter: short peaks are attenuated smoothly, everything else keeps its level.

The gain that each sample needs follows from the true peak around it, at four times the rate. The smallest
gain within reach, averaged by a Hann window of the same reach, is never above what any sample needs: the mean
is taken over minima that all include that sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d

from dacse_cli.audio.resample import StreamResampler

Samples = NDArray[np.float32]
REACH = 0.015
"""Seconds before and after a peak over which the gain moves."""
MARGIN = 0.1
"""dB of margin below the ceiling, for inter-sample effects of the changing gain."""
_FACTOR = 4


class Limiter:
    """Samples `[C, n]` in, as many out once `finish` has been called; all channels get one gain."""

    def __init__(self, sample_rate: int, channels: int, ceiling: float) -> None:
        """`ceiling` is the largest true peak in dBTP."""
        self._resampler = StreamResampler(sample_rate, _FACTOR * sample_rate, channels)
        self._ceiling = 10 ** ((ceiling - MARGIN) / 20)
        self._reach = max(1, round(REACH * sample_rate))
        window = np.hanning(2 * self._reach + 3)[1:-1]
        self._window = window / window.sum()
        self._between = np.zeros((channels, 0), np.float32)
        """Oversampled values of incomplete samples."""
        self._peaks = np.zeros(0, np.float32)
        """Of the samples themselves, as far as not oversampled yet: that loses their highest part."""
        self._waiting = np.zeros((channels, 0), np.float32)
        """Samples in, from the next one that goes out."""
        self._needed = np.ones(2 * self._reach)
        """Gains from two reaches before the next sample that goes out."""

    def push(self, samples: Samples) -> Samples:
        """Add `samples` `[C, n]`; returns the finished samples `[C, m]`."""
        self._waiting = np.concatenate([self._waiting, samples], axis=1)
        self._peaks = np.concatenate([self._peaks, np.abs(samples).max(axis=0, initial=0.0)])
        self._hear(self._resampler.push(samples))
        return self._ready(len(self._needed) - 4 * self._reach)

    def finish(self) -> Samples:
        """The rest, `[C, m]`; nothing may be pushed afterwards."""
        self._hear(self._resampler.finish())
        self._needed = np.concatenate([self._needed, np.ones(2 * self._reach)])
        return self._ready(self._waiting.shape[1])

    def _hear(self, oversampled: Samples) -> None:
        joined = np.concatenate([self._between, oversampled], axis=1)
        whole = joined.shape[1] // _FACTOR
        self._between = joined[:, _FACTOR * whole :]
        between = np.abs(joined[:, : _FACTOR * whole]).reshape(len(joined), whole, _FACTOR)
        peaks = np.maximum(between.max(axis=(0, 2), initial=0.0), self._peaks[:whole])
        self._peaks = self._peaks[whole:]
        self._needed = np.concatenate([self._needed, self._ceiling / np.maximum(peaks, self._ceiling)])

    def _ready(self, n: int) -> Samples:
        """The next `n` samples, whose gains are known."""
        if n <= 0:
            return self._waiting[:, :0]
        reach = self._reach
        around = self._needed[: n + 4 * reach]
        smallest = minimum_filter1d(around, 2 * reach + 1)[reach : n + 3 * reach]
        gains = np.convolve(smallest, self._window, mode="valid")
        out = np.asarray(self._waiting[:, :n] * gains, np.float32)
        self._waiting, self._needed = self._waiting[:, n:], self._needed[n:]
        return out
