"""Outputs of any format: opens the library that writes it, and copies the tags and chunks of the source."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.formats import OutputFormat
from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.media.kinds import MUXERS, require
from dacse_cli.audio.metadata.chunks import left_behind, read_extras, same_family
from dacse_cli.audio.metadata.tags import missing_extra, tagger
from dacse_cli.audio.recording import media_kind
from dacse_cli.audio.write import OutputWriter
from dacse_cli.errors import InputError
from dacse_cli.files.atomic import Written
from dacse_cli.files.problems import reason

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

    What cannot be kept is in `notes`. Raises as `OutputWriter` does, and `InputError` with reason
    `unsupported` where the extra is missing.
    """
    if source is None:
        if form.container not in MUXERS:
            return OutputWriter(target, form, channels)
        require(form.suffix)
        from dacse_cli.audio.media.write import MediaWriter

        return MediaWriter(target, form, channels)
    path, info = source
    try:
        extras = read_extras(path)
        if same_family(form.container, info.container):
            extras = extras.at_rate(info.sample_rate, form.sample_rate).for_channels(info.channels, channels)
            writer: Writer = OutputWriter(target, form, channels, extras)
            lost = list(extras.lost)
        else:
            writer = _writer(target, form, channels, path)
            lost = left_behind(extras)
            writer.notes += [note for note in [missing_extra(path)] if note]
    except OSError as error:
        raise InputError(f"cannot be read: {reason(error)}", reason="unreadable") from error
    if lost:
        writer.notes.append(f"not kept: {', '.join(lost)}")
    return writer


def _writer(target: Path, form: OutputFormat, channels: int, path: Path) -> Writer:
    """A writer whose file gets the tags of `path`, and its other streams where both are media files."""
    add_tags = tagger(path, form.container, form.subtype)
    if form.container not in MUXERS:
        return OutputWriter(target, form, channels, add_tags=add_tags)
    require(form.suffix)
    from dacse_cli.audio.media.write import MediaWriter

    kind = media_kind(path)
    return MediaWriter(target, form, channels, (path, kind) if kind else None, add_tags)
