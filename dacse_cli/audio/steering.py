"""A recording through a filter that a clean guide steers: nothing is added, some of it is turned down.

A generated voice is a good estimate of how loud clean speech is in each band at each moment, and a poor one
of its waveform. So the guide only sets gains, as in a Wiener filter, and what is heard is the recording:
words, voice and timing are its own. Gains are held in bands as wide as hearing's (ERB scale, Glasberg and
Moore 1990) and smoothed over three frames, so errors of the guide inside a band do not become tones.

Knows samples only; streams in constant memory and keeps every sample in its place.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Samples = NDArray[np.float32]

HOP_SECONDS = 0.008
OVERLAP = 4
"""Frames over a sample."""
BANDS = 24
TRUST = 1.5
"""Gain where guide and recording are equally loud, before it is cut at 1: guides may be 3.5 dB too soft."""
FLOOR = 0.1
"""Least gain, -20 dB: silence between words stays the room's."""
NEIGHBOUR = 0.4
"""Weight of the frames before and after in a frame's energies."""
TINY = 1e-10


class Steering:
    """Streams of `channels` at `rate` Hz; `guide_rate` says up to where (half of it) the guide speaks.

    Above that the gain of the highest band goes on.
    """

    def __init__(self, rate: int, channels: int, guide_rate: int) -> None:
        self._hop = max(1, round(rate * HOP_SECONDS))
        self._length = self._hop * OVERLAP
        phase = 2 * np.pi * np.arange(self._length) / self._length
        self._window = np.sqrt(0.5 - 0.5 * np.cos(phase)).astype(np.float32)
        self._bands = erb_bands(self._length, rate, min(rate, guide_rate) / 2)
        self._means = (self._bands / self._bands.sum(axis=1, keepdims=True)).T  # [F, BANDS]
        # zeros before the start, so that the first sample lies under as many frames as any other,
        # and one frame more, which is only ever the neighbour of the first
        self._dry = np.zeros((channels, self._length), np.float32)
        self._guide = np.zeros((channels, self._length), np.float32)
        self._tail = np.zeros((channels, self._length - self._hop), np.float32)
        self._skip = self._length - self._hop
        self._left = 0

    def push(self, guide: Samples, dry: Samples) -> Samples:
        """The next samples `[C, n]` of both -> samples `[C, m]` of the result that are final now."""
        self._left += dry.shape[1]
        return self._advance(guide, dry)

    def finish(self) -> Samples:
        """The rest; as many samples have come out as went in."""
        zeros = np.zeros((len(self._dry), self._length + self._hop), np.float32)
        return self._advance(zeros, zeros)

    def _advance(self, guide: Samples, dry: Samples) -> Samples:
        self._guide = np.concatenate([self._guide, guide], axis=1)
        self._dry = np.concatenate([self._dry, dry], axis=1)
        frames = (self._dry.shape[1] - self._length) // self._hop + 1 - 2  # all but the outer neighbours
        if frames < 1:
            return np.zeros((len(self._dry), 0), np.float32)
        filtered = self._filtered()
        done = frames * self._hop
        self._guide, self._dry = self._guide[:, done:], self._dry[:, done:]
        joined = overlap_add(filtered, self._hop)
        joined[:, : self._tail.shape[1]] += self._tail
        final, self._tail = joined[:, :done], joined[:, done:]
        skipped = min(self._skip, done)
        self._skip -= skipped
        final = final[:, skipped:][:, : self._left]
        self._left -= final.shape[1]
        return final

    def _filtered(self) -> Samples:
        """Windowed frames `[C, frames, length]` of the result, for all buffered frames but the outer two."""
        dry, guide = self._spectra(self._dry), self._spectra(self._guide)
        gains = band_gains(self._energies(guide), self._energies(dry))  # [C, frames, BANDS]
        spectrum = dry[:, 1:-1] * (gains @ self._bands).astype(np.float32)
        frames: Samples = np.fft.irfft(spectrum, self._length, axis=2).astype(np.float32)
        return frames * (self._window * np.float32(2 / OVERLAP))

    def _spectra(self, samples: Samples) -> NDArray[np.complex64]:
        """`[C, n]` -> `[C, frames, F]`."""
        views = sliding_window_view(samples, self._length, axis=1)[:, :: self._hop]
        spectra: NDArray[np.complex64] = np.fft.rfft(views * self._window, axis=2).astype(np.complex64)
        return spectra

    def _energies(self, spectra: NDArray[np.complex64]) -> NDArray[np.float64]:
        """`[C, frames, F]` -> mean energies of the bands, `[C, frames - 2, BANDS]`, smoothed over frames."""
        energies = np.square(np.abs(spectra), dtype=np.float64) @ self._means
        outer = energies[:, :-2] + energies[:, 2:]
        smooth: NDArray[np.float64] = (energies[:, 1:-1] + NEIGHBOUR * outer) / (1 + 2 * NEIGHBOUR)
        return smooth


def band_gains(guide: NDArray[np.float64], dry: NDArray[np.float64]) -> NDArray[np.float64]:
    """Energies of the same shape -> gains within `FLOOR` to 1."""
    ratio = np.sqrt((guide + TINY) / (dry + TINY))
    gains: NDArray[np.float64] = np.clip(TRUST * ratio, FLOOR, 1.0)
    return gains


def erb_bands(length: int, rate: int, top: float) -> NDArray[np.float64]:
    """Triangles `[BANDS, length // 2 + 1]` over the bins of an FFT, adding up to 1 at every bin.

    Centres are evenly spaced on the ERB scale up to `top` Hz; the highest goes on above.
    """
    bins = _erb(np.arange(length // 2 + 1) * rate / length)
    edges = np.linspace(_erb(np.zeros(1))[0], _erb(np.array([top]))[0], BANDS + 2)
    centres, step = edges[1:-1, None], edges[1] - edges[0]
    bands: NDArray[np.float64] = np.clip(1 - np.abs(bins[None] - centres) / step, 0, None)
    bands[0, bins < centres[0]] = 1.0
    bands[-1, bins > centres[-1]] = 1.0
    empty = bands.sum(axis=1) == 0  # narrower than a bin: a neighbour's triangle covers it
    bands[empty, np.abs(bins[None] - centres[empty]).argmin(axis=1)] = TINY
    return bands


def overlap_add(frames: Samples, hop: int) -> Samples:
    """Frames `[C, F, length]` that start `hop` apart -> their sum `[C, (F - 1) * hop + length]`."""
    C, F, length = frames.shape
    total = np.zeros((C, (F - 1) * hop + length), np.float32)
    for part in range(math.ceil(length / hop)):
        piece = frames[:, :, part * hop : (part + 1) * hop].reshape(C, F * hop)
        total[:, part * hop : (part + F) * hop] += piece
    return total


def _erb(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place on the ERB-rate scale."""
    scale: NDArray[np.float64] = 21.4 * np.log10(1 + 0.00437 * hertz)
    return scale
