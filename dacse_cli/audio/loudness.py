"""Integrated loudness and true peak after ITU-R BS.1770-4, block by block in constant memory.

Measures only; the level of an output is set in `pipeline.task.writing.levelling`.

pyloudnorm, the usual library for it, wants a whole recording at once; a test compares the two. Ten numbers
per second are kept for the gates, which refer to the whole signal.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.resample import StreamResampler

Samples = NDArray[np.float32]
FLOOR = -70.0
"""LUFS reported for signals too quiet to measure: the standard's absolute gate."""
_SURROUND = 1.41
_WEIGHTS = {
    4: (1, 1, _SURROUND, _SURROUND),
    5: (1, 1, 1, _SURROUND, _SURROUND),
    6: (1, 1, 1, 0, _SURROUND, _SURROUND),
    8: (1, 1, 1, 0, _SURROUND, _SURROUND, _SURROUND, _SURROUND),
}
"""Channels -> weights in the order of WAV; the fourth of six and of eight is for low frequencies only."""
_LOWEST_RATE = 8000
_MEASURED_AT = 48_000
_BINS_A_SECOND = 10
_BINS_A_BLOCK = 4
_RELATIVE_GATE = 10.0
SHORTEST = 0.5
"""Seconds; for `loudness` a shorter recording is followed by silence, as Descript's package does it."""


def loudness(samples: Samples, sample_rate: int) -> float:
    """LUFS of one channel `[S]`."""
    meter = LoudnessMeter(sample_rate, 1)
    missing = int(SHORTEST * sample_rate) - len(samples)
    meter.push(np.pad(samples, (0, max(0, missing)))[None])
    return meter.integrated()


def _k_weighting(rate: int) -> NDArray[np.float64]:
    """The standard's two filters for any rate `[2, 6]`, by the analogue prototypes of its 48 kHz numbers."""
    k, q = math.tan(math.pi * 1681.974450955533 / rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    shelf_b = [high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]
    shelf = [*(b / a0 for b in shelf_b), 1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]
    k, q = math.tan(math.pi * 38.13547087602444 / rate), 0.5003270373238773
    a0 = 1 + k / q + k * k
    return np.array([shelf, [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]])


class LoudnessMeter:
    """Takes samples `[C, n]` block by block; `integrated` returns the loudness of all."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        # below, the filter's shelf lies above the Nyquist frequency
        self._resampler = (
            StreamResampler(sample_rate, _MEASURED_AT, channels) if sample_rate < _LOWEST_RATE else None
        )
        self._rate = sample_rate if self._resampler is None else _MEASURED_AT
        self._sections = _k_weighting(self._rate)
        self._state = np.zeros((2, channels, 2))
        self._weights = np.array(_WEIGHTS.get(channels, (1,) * channels), np.float64)
        self._taken = 0
        self._energies: list[float] = []
        self._counts: list[int] = []

    def push(self, samples: Samples) -> None:
        """Hear `samples` `[C, n]`."""
        self._hear(samples if self._resampler is None else self._resampler.push(samples))

    def _hear(self, samples: Samples) -> None:
        if not samples.shape[1]:
            return
        from scipy.signal import sosfilt

        heard, self._state = sosfilt(self._sections, samples, axis=1, zi=self._state)
        energy = self._weights @ np.square(heard)  # [n]
        start = 0
        while start < len(energy):
            bin_ = self._taken * _BINS_A_SECOND // self._rate
            end = -(-(bin_ + 1) * self._rate // _BINS_A_SECOND)  # first sample of the next
            part = energy[start : start + end - self._taken]
            if bin_ == len(self._energies):
                self._energies.append(0.0)
                self._counts.append(0)
            self._energies[bin_] += float(part.sum())
            self._counts[bin_] += len(part)
            self._taken += len(part)
            start += len(part)

    def integrated(self) -> float:
        """LUFS after both gates, `FLOOR` where nothing is above it; nothing may be pushed afterwards."""
        if self._resampler is not None:
            self._hear(self._resampler.finish())
        power = self._block_powers()
        loud = power[power > _power_of(FLOOR)]
        if not len(loud):
            return FLOOR
        gate = _power_of(_lufs(loud.mean()) - _RELATIVE_GATE)
        return max(FLOOR, _lufs(loud[loud > gate].mean()))

    def _block_powers(self) -> NDArray[np.float64]:
        """Mean square of every 400 ms, 100 ms apart; a shorter recording is one block."""
        energies, counts = np.array(self._energies), np.array(self._counts, np.float64)
        if not len(counts):
            return np.zeros(0)
        size = min(_BINS_A_BLOCK, len(counts))
        window = np.ones(size)
        whole = np.convolve(energies, window, "valid") / np.convolve(counts, window, "valid")
        last_is_short = counts[-1] < self._rate // _BINS_A_SECOND
        return whole[:-1] if last_is_short and len(whole) > 1 else whole


def _lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power)


def _power_of(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


class TruePeakMeter:
    """The largest value between the samples, too: measured at four times the rate, up to 192 kHz."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        factor = 4 if sample_rate < 96_000 else 2 if sample_rate < 192_000 else 1
        self._resampler = StreamResampler(sample_rate, sample_rate * factor, channels)
        self._peak = 0.0

    def push(self, samples: Samples) -> None:
        """Hear `samples` `[C, n]`."""
        self._peak = max(self._peak, float(np.abs(samples).max(initial=0.0)))
        self._hear(self._resampler.push(samples))

    def finish(self) -> float:
        """The peak in dBTP, -inf for silence; nothing may be pushed afterwards."""
        self._hear(self._resampler.finish())
        return 20 * math.log10(self._peak) if self._peak else -math.inf

    def _hear(self, samples: Samples) -> None:
        self._peak = max(self._peak, float(np.abs(samples).max(initial=0.0)))
