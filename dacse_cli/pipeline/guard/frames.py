"""Sound as frames of 10 ms: energy in bands, and how periodic it is. Pure numpy, 2 ms per second of audio.

Everything is computed from one power spectrum per frame. Periodicity is computed
twice: of the power itself, in which independent sounds add up, and of its cube root, in which a rumble or a
single tone counts little and a row of harmonics counts much.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

RATE = 16_000
"""Sample rate of the sound that is compared: what distinguishes words lies below 8 kHz."""
HOP = RATE // 100
WINDOW = RATE // 25
_FFT = 1024  # holds a window and the longest lag
BANDS = 20
BAND_RANGE = (100.0, 4000.0)
"""Hz. Above it models restore what a telephone or a low bit rate has removed; below it there is no speech."""
PITCH_RANGE = (70.0, 400.0)
_HARMONICS = (80.0, 1500.0)
_LAG_RATE = 8000.0
"""Autocorrelations hold lags in steps of 1/8000 s."""


@dataclass(frozen=True)
class Frames:
    """Frames of a sound. T frames, B bands, L lags."""

    bands: Array
    """Power `[T, B]`; white noise of variance v has v times a band's width in bins."""
    power: Array
    """Power in the range of the harmonics, `[T]`."""
    periodic: Array
    """The part of `power` that repeats after each lag, `[T, L]`."""
    harmonic: Array
    """The same for the cube root of the spectrum, as a share: 1 is a perfect harmonic series, `[T, L]`."""

    def __len__(self) -> int:
        return len(self.power)

    def part(self, start: int, stop: int) -> Frames:
        """Frames `[start, stop)`."""
        return Frames(*(getattr(self, field.name)[start:stop] for field in fields(self)))


def count(samples: int) -> int:
    """Frames that `samples` samples at `RATE` give: at least one."""
    return max(1, (samples - WINDOW) // HOP + 1)


def listen(samples: Array) -> Frames:
    """Frames of mono samples `[S]` at `RATE`."""
    if len(samples) < WINDOW:
        samples = np.pad(samples, (0, WINDOW - len(samples)))
    pieces = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]  # [T, WINDOW]
    spectrum = np.fft.rfft(pieces * _TAPER, _FFT)[:, : _LAST + 1]
    power = np.square(spectrum.real, dtype=np.float32) + np.square(spectrum.imag, dtype=np.float32)
    harmonics = np.zeros_like(power)
    harmonics[:, _LOWEST:_HIGHEST] = power[:, _LOWEST:_HIGHEST]
    linear, compressed = _correlate(harmonics), _correlate(np.cbrt(harmonics))
    periodic = linear[:, _LAGS] / _TAPER_AT_LAGS
    harmonic = np.divide(compressed[:, _LAGS], np.maximum(compressed[:, :1], 1e-12), dtype=np.float32)
    return Frames(power @ _BANK, linear[:, 0], periodic, harmonic)


def _correlate(power: Array) -> Array:
    """Autocorrelation `[T, lags]` of frames of the power spectra `[T, bins]`."""
    return np.fft.irfft(power, 2 * _LAST).astype(np.float32)


def _taper() -> Array:
    window = np.hanning(WINDOW + 2)[1:-1]
    return (window / np.linalg.norm(window)).astype(np.float32)


def _bank(frequencies: NDArray[np.float64]) -> Array:
    """Triangular filters `[bins, BANDS]`, evenly spaced on the mel scale over `BAND_RANGE`."""
    low, high = (2595 * np.log10(1 + f / 700) for f in BAND_RANGE)
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    f = frequencies[:, None]
    rising = (f - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - f) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def _taper_at(lags: NDArray[np.int64]) -> Array:
    """Factor by which the window's shape reduces the autocorrelation at a lag."""
    own = np.correlate(_TAPER, _TAPER, "full")[WINDOW - 1 :]
    return np.asarray(np.interp(lags * RATE / _LAG_RATE, np.arange(WINDOW), own), np.float32)


_LAST = int(_LAG_RATE / 2 * _FFT / RATE)  # the bin of 4 kHz; bins up to it give lags in steps of 1/8000 s
_FREQUENCIES = np.arange(_LAST + 1) * RATE / _FFT
_TAPER = _taper()
_BANK = _bank(_FREQUENCIES)
_LOWEST, _HIGHEST = np.searchsorted(_FREQUENCIES, _HARMONICS)
_LAGS = np.arange(int(_LAG_RATE / PITCH_RANGE[1]), int(_LAG_RATE / PITCH_RANGE[0]) + 1)
_TAPER_AT_LAGS = _taper_at(_LAGS)
