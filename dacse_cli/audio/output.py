"""Outputs of any format: opens the library that writes it, and copies the tags and chunks of the source."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.formats import OutputFormat
from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.media.kinds import MUXERS, require
from dacse_cli.audio.metadata.chunks import Extras, left_behind, read_extras, same_family
from dacse_cli.audio.metadata.tags import missing_extra, tagger
from dacse_cli.audio.recording import media_kind
from dacse_cli.audio.write import OutputWriter
from dacse_cli.errors import InputError
from dacse_cli.files.atomic import Written
from dacse_cli.files.problems import reason

TRIED = 64
"""Samples of the file in which chunks are tried."""


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
            if extras.chunks:
                extras = _readable(target, form, channels, extras)
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


def _readable(target: Path, form: OutputFormat, channels: int, extras: Extras) -> Extras:
    """`extras` without the chunks that make a file unreadable, tried in a part file of `target`.

    libsndfile reads some of these chunks: damaged ones, or of another meaning in its version, make it refuse
    the whole file. Raises as `OutputWriter` does.
    """
    if _reads_back(target, form, channels, extras):
        return extras
    numbers = set(range(len(extras.chunks)))
    bad = {n for n in numbers if not _reads_back(target, form, channels, extras.without(numbers - {n}))}
    fewer = extras.without(bad)
    return fewer if _reads_back(target, form, channels, fewer) else extras.without(numbers)


def _reads_back(target: Path, form: OutputFormat, channels: int, extras: Extras) -> bool:
    with OutputWriter(target, form, channels, extras) as trial:
        trial.write(np.zeros((channels, TRIED), np.float32))
        return trial.reads_back()


def _writer(target: Path, form: OutputFormat, channels: int, path: Path) -> Writer:
    """A writer whose file gets the tags of `path`, and its other streams where both are media files."""
    add_tags = tagger(path, form.container, form.subtype)
    if form.container not in MUXERS:
        return OutputWriter(target, form, channels, add_tags=add_tags)
    require(form.suffix)
    from dacse_cli.audio.media.write import MediaWriter

    kind = media_kind(path)
    return MediaWriter(target, form, channels, (path, kind) if kind else None, add_tags)
