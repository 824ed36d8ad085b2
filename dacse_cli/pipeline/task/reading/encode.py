"""A recording -> windows to encode, block by block: rows chosen, peaks lowered, resampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.resample import StreamResampler
from dacse_cli.codec.stream import EncodeStream
from dacse_cli.interfaces import Codec, Samples, Window
from dacse_cli.pipeline.task.reading.rows import Activity, Rows
from dacse_cli.pipeline.task.reading.sources import Signal


class SpanBuffer:
    """An array whose last axis arrives in pieces and is read in overlapping spans, from the front."""

    def __init__(self) -> None:
        self._pieces: list[NDArray[Any]] = []
        self._start = 0
        self.stop = 0

    def append(self, piece: NDArray[Any]) -> None:
        """Append the next piece, `[..., n]`."""
        if piece.shape[-1]:
            self._pieces.append(piece)
            self.stop += piece.shape[-1]

    def take(self, start: int, stop: int) -> NDArray[Any]:
        """`[..., stop - start]`, shorter at the end; data before `start` is discarded."""
        held = np.concatenate(self._pieces, axis=-1)[..., start - self._start :]
        self._pieces, self._start = [held], start
        return held[..., : stop - start]


class Encoding:
    """Runs blocks through the resampler. `gain` brings peaks above full scale down to 1.

    `on_samples` gets the encoder's input: rows `[R, n]` at the codec's rate.
    """

    def __init__(
        self,
        signal: Signal,
        rows: Rows,
        codec: Codec,
        on_samples: Callable[[Samples], None] = lambda samples: None,
    ) -> None:
        self.gain = 1.0 / max(1.0, signal.peak)
        self._signal, self._rows, self._codec, self._on_samples = signal, rows, codec, on_samples
        spec = codec.spec
        self.samples = signal.frames_at(spec.sample_rate)
        """Samples per row at the codec's rate."""
        self.frames = spec.frames(self.samples)
        self.activity = Activity(
            rows.count, self.frames, signal.sample_rate, spec.sample_rate, spec.hop_length
        )

    def windows(self, blocks: Iterator[Samples]) -> Iterator[Sequence[Window]]:
        """Windows to encode: none yet, or a batch of the codec. Joined in order, their units `[R, U, t]` are
        `frames` in all, independent of how the source is cut.
        """
        resampler = StreamResampler(self._signal.sample_rate, self._codec.spec.sample_rate, self._rows.count)
        encoder = EncodeStream(self._codec, self._rows.count)
        waiting: list[Window] = []
        for block in blocks:
            rows = self._rows.select(block)
            self.activity.mark(rows)
            waiting += self._windows(encoder, resampler.push(rows * np.float32(self.gain)))
            if len(waiting) * self._rows.count < self._codec.rows:
                yield []
                continue
            yield waiting
            waiting = []
        yield [*waiting, *self._windows(encoder, resampler.finish()), *encoder.last_windows()]

    def _windows(self, encoder: EncodeStream, samples: Samples) -> list[Window]:
        self._on_samples(samples)
        return encoder.windows(samples)
