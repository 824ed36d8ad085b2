"""Any output, by whichever library writes it, with what its source says beside the sound."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.formats import OutputFormat
from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.media.kinds import MUXERS, require
from dacse_cli.audio.metadata.riff import read_extras
from dacse_cli.audio.metadata.tags import missing_extra, tagger
from dacse_cli.audio.recording import media_kind
from dacse_cli.audio.write import OutputWriter
from dacse_cli.errors import InputError
from dacse_cli.files.atomic import Written

_WAV = ("WAV", "WAVEX", "RF64")


class Writer(Protocol):
    """What `OutputWriter` and `MediaWriter` have in common."""

    notes: list[str]

    def write(self, samples: NDArray[np.float32]) -> None: ...
    def finish(self, expected_frames: int) -> Written: ...
    def discard(self) -> None: ...


def open_writer(
    target: Path, form: OutputFormat, channels: int, source: tuple[Path, AudioInfo] | None = None
) -> Writer:
    """Writes samples `[C, n]` to `target`; with a `source`, that file's tags, chunks and streams are kept.

    Raises as `OutputWriter` does, and `InputError` with reason `unsupported` where the extra is missing.
    """
    path, info = source or (None, None)
    dress = tagger(path, form.container) if path is not None else None
    if form.container in MUXERS:
        require(form.suffix)
        from dacse_cli.audio.media.write import MediaWriter

        kind = media_kind(path) if path is not None else None
        return MediaWriter(target, form, channels, (path, kind) if path and kind else None, dress)
    if path is None or info is None:
        return OutputWriter(target, form, channels)
    if form.container not in _WAV:
        writer = OutputWriter(target, form, channels, dress=dress)
        writer.notes += [note for note in [missing_extra(path)] if note]
        return writer
    if info.container not in _WAV:
        return OutputWriter(target, form, channels, dress=dress)
    try:
        extras = read_extras(path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", reason="unreadable") from error
    extras = extras.at_rate(info.sample_rate, form.sample_rate)
    if channels != info.channels:
        extras = extras.without_mask()
    return OutputWriter(target, form, channels, extras)
