"""Where samples come from and go to: files or arrays, behind the same two small interfaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.formats import OutputFormat
from dacse_cli.audio.info import AudioInfo, AudioScan
from dacse_cli.audio.output import open_writer
from dacse_cli.audio.recording import open_recording
from dacse_cli.pipeline.wire.outcome import OutputFile

Samples = NDArray[np.float32]
BLOCK_SECONDS = 1.0


@dataclass(frozen=True)
class Signal:
    """Facts about a recording that are known before it is processed."""

    sample_rate: int
    channels: int
    frames: int
    """Samples a channel."""
    peak: float
    twins: tuple[int, ...]
    """For each channel the first channel with identical samples."""

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate

    @classmethod
    def of_scan(cls, scan: AudioScan) -> Signal:
        info = scan.info
        return cls(info.sample_rate, info.channels, scan.frames, scan.peak, scan.twins)

    @classmethod
    def of_array(cls, samples: Samples, sample_rate: int) -> Signal:
        """Facts of samples `[C, S]`."""
        C, S = samples.shape
        twins = tuple(
            next(j for j in range(i + 1) if np.array_equal(samples[i], samples[j])) for i in range(C)
        )
        peak = float(np.abs(samples).max()) if samples.size else 0.0
        return cls(sample_rate, C, S, peak, twins)


class Source(Protocol):
    """A recording that can be read from the start as often as needed."""

    @property
    def signal(self) -> Signal:
        """What is known of it."""

    def blocks(self) -> Iterator[Samples]:
        """Samples `[C, n]`, about a second each, `signal.frames` in total."""


class Sink(Protocol):
    """Takes the result as it comes."""

    @property
    def folder(self) -> Path | None:
        """Where there is room for what is not finished; None where it does not matter."""

    def write(self, samples: Samples) -> None:
        """Append samples `[C, n]`."""

    def finish(self, frames: int) -> tuple[list[OutputFile], list[str]]:
        """Close and verify that `frames` samples a channel are there; files and warnings."""

    def abandon(self) -> None:
        """Leave nothing behind."""


@dataclass(frozen=True)
class FileSource:
    """An audio file that has been scanned."""

    path: Path
    signal: Signal

    def blocks(self) -> Iterator[Samples]:
        block = max(1, round(self.signal.sample_rate * BLOCK_SECONDS))
        with open_recording(self.path, self.signal.frames) as reader:
            while (samples := reader.read(block)).shape[1]:
                yield samples


@dataclass(frozen=True)
class ArraySource:
    """Samples `[C, S]` in memory."""

    samples: Samples
    signal: Signal

    def blocks(self) -> Iterator[Samples]:
        block = max(1, round(self.signal.sample_rate * BLOCK_SECONDS))
        for start in range(0, self.signal.frames, block):
            yield self.samples[:, start : start + block]


class FileSink:
    """Writes an audio file of `sample_rate` under a temporary name beside `target`.

    `note` is what the user should know of the format, a warning. `source` is the file whose tags and other
    streams are kept.
    """

    def __init__(
        self,
        target: Path,
        form: OutputFormat,
        channels: int,
        note: str | None = None,
        source: tuple[Path, AudioInfo] | None = None,
    ) -> None:
        self._target, self._note = target, note
        self.folder: Path | None = target.parent
        self.sample_rate = form.sample_rate
        self._writer = open_writer(target, form, channels, source)

    def write(self, samples: Samples) -> None:
        self._writer.write(samples)

    def finish(self, frames: int) -> tuple[list[OutputFile], list[str]]:
        written = self._writer.finish(frames)
        warnings = [*([self._note] if self._note else []), *self._writer.notes]
        if written.clipped:
            warnings.append(f"{written.clipped} samples were clipped")
        return [OutputFile(written.temp, self._target, written.size, written.sha256)], warnings

    def abandon(self) -> None:
        self._writer.discard()


class ArraySink:
    """Collects samples `[C, S]` in memory."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self._blocks: list[Samples] = []
        self._taken = 0

    def write(self, samples: Samples) -> None:
        self._blocks.append(samples.copy())

    def finish(self, frames: int) -> tuple[list[OutputFile], list[str]]:
        assert self._taken + sum(block.shape[1] for block in self._blocks) == frames
        return [], []

    def abandon(self) -> None:
        self._blocks.clear()

    def take(self) -> Samples:
        """What was written since the last call, `[C, n]`; it is not kept."""
        blocks, self._blocks = self._blocks, []
        self._taken += sum(block.shape[1] for block in blocks)
        return np.concatenate(blocks, axis=1) if blocks else np.zeros((0, 0), np.float32)

    @property
    def samples(self) -> Samples:
        """All samples written, `[C, S]`."""
        return np.concatenate(self._blocks, axis=1)
