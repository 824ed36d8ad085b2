"""Where a result goes: a file or an array."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from dacse_cli.audio.formats import OutputFormat
from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.output import open_writer
from dacse_cli.interfaces import Samples
from dacse_cli.pipeline.wire.outcome import OutputFile

Written = tuple[list[OutputFile], list[str]]
"""Files, and warnings."""


class Sink(Protocol):
    """Takes a result block by block."""

    @property
    def folder(self) -> Path | None:
        """Where unfinished data can be stored; None where memory is enough."""

    def write(self, samples: Samples) -> None:
        """Append samples `[C, n]`."""

    def finish(self, frames: int) -> Written:
        """Close, and verify that `frames` samples per channel are there."""

    def abandon(self) -> None:
        """Remove everything that was written."""


class FileSink:
    """Writes an audio file of `sample_rate` under a temporary name beside `target`.

    `note` is a warning about the format. `source` is the file whose tags and other streams are kept.
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

    def finish(self, frames: int) -> Written:
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

    def finish(self, frames: int) -> Written:
        assert self._taken + sum(block.shape[1] for block in self._blocks) == frames
        return [], []

    def abandon(self) -> None:
        self._blocks.clear()

    def take(self) -> Samples:
        """Samples written since the last call, `[C, n]`, which are then forgotten."""
        blocks, self._blocks = self._blocks, []
        self._taken += sum(block.shape[1] for block in blocks)
        return np.concatenate(blocks, axis=1) if blocks else np.zeros((0, 0), np.float32)

    @property
    def samples(self) -> Samples:
        """All samples written, `[C, S]`."""
        return np.concatenate(self._blocks, axis=1)
