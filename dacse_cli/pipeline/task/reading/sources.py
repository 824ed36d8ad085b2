"""Where samples come from: files or arrays, decoded once for all readers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.info import AudioScan, resampled_length
from dacse_cli.audio.recording import open_recording
from dacse_cli.audio.resample import StreamResampler
from dacse_cli.errors import InputError
from dacse_cli.interfaces import Samples

BLOCK_SECONDS = 1.0


@dataclass(frozen=True)
class Signal:
    """Facts about a recording that are known before it is processed."""

    sample_rate: int
    channels: int
    frames: int
    """Samples per channel."""
    peak: float
    duplicates: tuple[int, ...]
    """For each channel the first channel with identical samples."""

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate

    def frames_at(self, rate: int) -> int:
        """Samples per channel after resampling to `rate`."""
        return resampled_length(self.frames, self.sample_rate, rate)

    @classmethod
    def of_scan(cls, scan: AudioScan) -> Signal:
        """Facts of a file that was scanned."""
        info = scan.info
        return cls(info.sample_rate, info.channels, scan.frames, scan.peak, scan.duplicates)

    @classmethod
    def of_array(cls, samples: Samples, sample_rate: int) -> Signal:
        """Facts of samples `[C, S]`."""
        C, S = samples.shape
        peak = float(np.abs(samples).max()) if samples.size else 0.0
        return cls(sample_rate, C, S, peak, first_equal(samples))


def first_equal(channels: NDArray[Any]) -> tuple[int, ...]:
    """For each channel of `[C, ...]` the first one with the same content."""
    return tuple(
        next(j for j in range(i + 1) if np.array_equal(channels[i], channels[j]))
        for i in range(len(channels))
    )


class Source(Protocol):
    """A recording."""

    @property
    def signal(self) -> Signal:
        """Facts about the recording."""

    def blocks(self) -> Iterator[Samples]:
        """Samples `[C, n]` from the start, about a second each, `signal.frames` in total."""


@dataclass(frozen=True)
class FileSource:
    """An audio file that has been scanned."""

    path: Path
    signal: Signal

    def blocks(self) -> Iterator[Samples]:
        """Raises `InputError` with reason `changed` where the file has become shorter."""
        block = max(1, round(self.signal.sample_rate * BLOCK_SECONDS))
        with open_recording(self.path, self.signal.frames) as reader:
            while (samples := reader.read(block)).shape[1]:
                yield samples
            if reader.frames_read < self.signal.frames:
                raise _changed()


@dataclass(frozen=True)
class ArraySource:
    """Samples `[C, S]` in memory."""

    samples: Samples
    signal: Signal

    def blocks(self) -> Iterator[Samples]:
        """Slices of the array."""
        block = max(1, round(self.signal.sample_rate * BLOCK_SECONDS))
        for start in range(0, self.signal.frames, block):
            yield self.samples[:, start : start + block]


class OnePass:
    """The blocks of a source for a number of readers, each at its own pace, decoded once.

    A block is held until the last reader has taken it. `on_block` sees each block once, in order.
    """

    def __init__(self, source: Source, readers: int, on_block: Callable[[Samples], None]) -> None:
        def blocks() -> Iterator[Samples]:
            for block in source.blocks():
                on_block(block)
                yield block

        self._readers = list(itertools.tee(blocks(), readers))

    def reader(self) -> Iterator[Samples]:
        """The blocks for one of the readers."""
        return self._readers.pop()


class DryBlocks:
    """The unprocessed input at a rate, in pieces of any length."""

    def __init__(
        self,
        blocks: Iterator[Samples],
        select: Callable[[Samples], Samples],
        rates: tuple[int, int],
        rows: int,
    ) -> None:
        """`select` makes rows `[R, n]` of a block; `rates` are those of the blocks and of the pieces."""
        self._pieces = self._resampled(blocks, select, StreamResampler(*rates, rows))
        self._rest = np.zeros((rows, 0), np.float32)

    @staticmethod
    def _resampled(
        blocks: Iterator[Samples], select: Callable[[Samples], Samples], resampler: StreamResampler
    ) -> Iterator[Samples]:
        for block in blocks:
            yield resampler.push(select(block))
        yield resampler.finish()

    def take(self, n: int) -> Samples:
        """The next samples `[R, n]`."""
        pieces = [self._rest]
        have = self._rest.shape[1]
        while have < n:
            piece = next(self._pieces, None)
            if piece is None:
                raise _changed()
            pieces.append(piece)
            have += piece.shape[1]
        joined = np.concatenate(pieces, axis=1)
        self._rest = joined[:, n:]
        return joined[:, :n]

    def rest(self) -> Iterator[Samples]:
        """All remaining samples, piece by piece."""
        yield self._rest
        yield from self._pieces


def _changed() -> InputError:
    return InputError("the input changed while it was read", reason="changed")
