"""A recording -> codes, block by block: channel selection, gain, resampling, encoding, and what is silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.info import resampled_length
from dacse_cli.audio.resample import StreamResampler
from dacse_cli.codec.stream import EncodeStream
from dacse_cli.interfaces import Codec
from dacse_cli.pipeline.task.sources import Samples, Signal, Source

CANCELLED = 0.01
"""A mean with less than this share of the loudest channel's energy (-20 dB) has lost what was said."""
Number = TypeVar("Number", np.float32, np.int16)


class Rows:
    """Which rows the models work on: one for each channel that differs, or the mean of all (`mono`)."""

    def __init__(self, signal: Signal, channels: str) -> None:
        self._mono = channels == "mono" and signal.channels > 1
        self._firsts = sorted(set(signal.twins))
        self._row_of = [self._firsts.index(twin) for twin in signal.twins]
        self._energies = np.zeros(signal.channels + 1)  # of every channel, and of their mean

    @property
    def count(self) -> int:
        """Rows through the models (R)."""
        return 1 if self._mono else len(self._firsts)

    @property
    def channels(self) -> int:
        """Channels of the result."""
        return 1 if self._mono else len(self._row_of)

    def select(self, block: Samples) -> Samples:
        """Channels `[C, n]` -> rows `[R, n]`."""
        if not self._mono:
            return block[self._firsts]
        mean: Samples = block.mean(axis=0, keepdims=True, dtype=np.float32)
        self._energies += np.square(np.concatenate([block, mean]), dtype=np.float64).sum(axis=1)
        return mean

    @property
    def warnings(self) -> list[str]:
        """What is to be said of the rows, once all samples have gone through `select`."""
        *channels, mean = self._energies
        if not self._mono or mean >= CANCELLED * max(channels):
            return []
        return ["the channels cancel each other out in their mean: choose --channels keep"]

    def spread(self, rows: NDArray[Number]) -> NDArray[Number]:
        """Rows `[R, ...]` of samples or codes -> channels of the result `[C', ...]`."""
        return rows if self._mono else rows[self._row_of]

    def mix_down(self, block: Samples) -> Samples:
        """Input channels `[C, n]` -> channels of the result `[C', n]`, unprocessed."""
        return self.select(block) if self._mono else block


class Activity:
    """Which codec frames hold any sample that is not exactly zero, per row. Bool a frame."""

    def __init__(self, rows: int, frames: int, source_rate: int, codec_rate: int, hop: int) -> None:
        self._active = np.zeros((rows, frames), dtype=bool)
        self._source_rate, self._codec_rate, self._hop = source_rate, codec_rate, hop
        self._position = 0

    def mark(self, block: Samples) -> None:
        """Take the next source samples `[R, n]` into account."""
        n = block.shape[1]
        if not n or not self._active.shape[1]:
            return
        times = np.arange(self._position, self._position + n, dtype=np.int64)
        frames = np.minimum(
            times * self._codec_rate // (self._source_rate * self._hop), self._active.shape[1] - 1
        )
        starts = np.flatnonzero(np.diff(frames, prepend=-1))
        self._active[:, frames[starts]] |= np.logical_or.reduceat(block != 0, starts, axis=1)
        self._position += n

    def silent(self, row: int, start: int, stop: int) -> bool:
        """Whether frames `[start, stop)` and their neighbours are digital silence."""
        return not self._active[row, max(0, start - 1) : stop + 1].any()


class SpanBuffer(Generic[Number]):
    """An array whose last axis arrives in pieces and is read in overlapping spans, from the front."""

    def __init__(self) -> None:
        self._pieces: list[NDArray[Number]] = []
        self._start = 0
        self.stop = 0

    def append(self, piece: NDArray[Number]) -> None:
        """What comes next, `[..., n]`."""
        if piece.shape[-1]:
            self._pieces.append(piece)
            self.stop += piece.shape[-1]

    def take(self, start: int, stop: int) -> NDArray[Number]:
        """`[..., stop - start]`, less at the end; what lies before `start` is forgotten."""
        held = np.concatenate(self._pieces, axis=-1)[..., start - self._start :]
        self._pieces, self._start = [held], start
        return held[..., : stop - start]


class Encoding:
    """Runs a source through resampler and encoder. `gain` brings peaks above full scale down to 1.

    `on_samples` is given what the encoder is given: rows `[R, n]` at the codec's rate.
    """

    def __init__(
        self,
        source: Source,
        codec: Codec,
        channels: str,
        on_samples: Callable[[Samples], None] = lambda samples: None,
    ) -> None:
        self.rows = Rows(source.signal, channels)
        self.gain = 1.0 / max(1.0, source.signal.peak)
        self._source, self._codec, self._on_samples = source, codec, on_samples
        signal, spec = source.signal, codec.spec
        self.samples = resampled_length(signal.frames, signal.sample_rate, spec.sample_rate)
        """Samples a row at the codec's rate."""
        self.frames = spec.frames(self.samples)
        self.activity = Activity(
            self.rows.count, self.frames, signal.sample_rate, spec.sample_rate, spec.hop_length
        )

    def codes(self) -> Iterator[NDArray[np.int16]]:
        """Codes `[R, K, t]`, piece by piece, `frames` in all; independent of how the source is cut."""
        rate = self._source.signal.sample_rate
        resampler = StreamResampler(rate, self._codec.spec.sample_rate, self.rows.count)
        encoder = EncodeStream(self._codec, self.rows.count)
        for block in self._source.blocks():
            rows = self.rows.select(block)
            self.activity.mark(rows)
            yield self._encode(encoder, resampler.push(rows * np.float32(self.gain)))
        yield self._encode(encoder, resampler.finish())
        yield encoder.finish()

    def _encode(self, encoder: EncodeStream, samples: Samples) -> NDArray[np.int16]:
        self._on_samples(samples)
        return encoder.push(samples)
