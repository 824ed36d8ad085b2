"""Any recording, by whichever library reads it: libsndfile's formats, or media files through PyAV."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.containers.kinds import Kind, recognise
from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.media.kinds import require
from dacse_cli.audio.read import AudioReader
from dacse_cli.audio.source import open_audio
from dacse_cli.errors import InputError
from dacse_cli.files.problems import reason


class Recording(Protocol):
    """What `AudioReader` and `MediaReader` have in common."""

    info: AudioInfo
    damage: str | None
    frames_read: int

    @property
    def counted(self) -> bool: ...
    def __enter__(self) -> Recording: ...
    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None: ...
    def read(self, count: int) -> NDArray[np.float32]:
        """The next samples `[C, n]`; n is `count`, or less at the end, also where recordings are joined."""

    def skip(self, count: int) -> None: ...
    def warning(self) -> str | None: ...


def open_recording(
    path: str | os.PathLike[str],
    frames: int | None = None,
    *,
    thorough: bool = True,
    reading: Callable[[], None] | None = None,
) -> Recording:
    """A reader of `path` from its start, of at most `frames` samples per channel.

    `thorough` finds all recordings that are joined in the file; else only its two ends are looked at.
    `reading` is called while that goes on. Raises `InputError` as `Source` does; reason `unsupported` names
    the extra that a media file needs.
    """
    kind = media_kind(path)
    if kind is None:
        return AudioReader(path, frames, thorough=thorough, reading=reading)
    require(kind.label)
    from dacse_cli.audio.media.decode import MediaReader

    return MediaReader(path, kind, frames)


def media_kind(path: str | os.PathLike[str]) -> Kind | None:
    """The kind of a media file, None for libsndfile's formats. Raises `InputError`."""
    try:
        with open_audio(path) as stream:
            found = recognise(stream, Path(path).suffix)
    except OSError as error:
        raise InputError(f"cannot be read: {reason(error)}", reason="unreadable") from error
    return None if found is None or found.kind.demuxer is None else found.kind
