"""A media file opened by FFmpeg, by one demuxer only and through an already open file."""

from __future__ import annotations

import os
from typing import Any, BinaryIO, NoReturn

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from dacse_cli.audio.containers.kinds import MP4, Kind
from dacse_cli.audio.source import open_audio
from dacse_cli.errors import InputError

_CODEC_NAMES = {
    "mp3": "MPEG_LAYER_III",
    "mp3float": "MPEG_LAYER_III",
    "pcm_f32le": "FLOAT",
    "pcm_f32be": "FLOAT",
    "pcm_f64le": "DOUBLE",
    "pcm_f64be": "DOUBLE",
    "libopus": "OPUS",
    "wmav1": "WMA",
    "wmav2": "WMA",
}
_LOSSLESS = ("alac", "flac", "wavpack", "tta", "truehd", "mlp", "ape")
_OF_24_BITS = ("alac", "flac")
"""Codecs whose 32-bit samples have 24 significant bits."""


def open_container(path: str | os.PathLike[str], kind: Kind) -> InputContainer:
    """The file opened for reading by the demuxer of `kind` alone. Raises `InputError`."""
    stream = open_audio(path)
    try:
        # the file object keeps FFmpeg from opening anything by name, whatever the file asks for
        return av.open(
            _Bytes(stream), "r", format=kind.demuxer, metadata_errors="replace", io_open=_refuse_to_open
        )
    except (av.error.FFmpegError, ValueError, OSError) as error:
        stream.close()
        raise InputError(f"damaged or cut {kind.label} file ({words(error)})", reason="bad-header") from error


class _Bytes:
    """An open file for FFmpeg: an impossible seek returns an error code, not an exception."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.read, self.tell, self.close = stream.read, stream.tell, stream.close

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._stream.seek(offset, whence)
        except OSError:
            return -1


def close_container(container: InputContainer) -> None:
    """Close a container and the file below it; may be called twice."""
    file: Any = container.file
    container.close()
    if file is not None:
        file.file.close()


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError(f"the file refers to another file: {url}")


def main_audio(container: InputContainer, kind: Kind) -> AudioStream:
    """The track to be enhanced: the first one marked as default, else the first. Raises `InputError`."""
    tracks = list(container.streams.audio)
    if not tracks:
        raise InputError(f"no audio track in this {kind.label} file", reason="no-samples")
    return next((track for track in tracks if track.disposition & av.stream.Disposition.default), tracks[0])


def container_name(container: InputContainer, kind: Kind) -> str:
    """The name under which `media.kinds` knows an open file's container."""
    if kind is MP4:
        brand = container.metadata.get("major_brand", "qt")
        return {"qt": "MOV", "M4A": "M4A", "M4B": "M4A"}.get(brand.strip(), "MP4")
    return kind.name


def codec_name(track: AudioStream) -> str:
    """The name under which `media.kinds` knows a track's codec: `AAC`, `ALAC_24`, `PCM_16`, ..."""
    name: str = track.codec_context.name
    if name in _CODEC_NAMES:
        return _CODEC_NAMES[name]
    if name in _LOSSLESS:
        return f"{name.upper()}_{_depth(name, track)}"
    if name.startswith("pcm_"):
        bits = "".join(filter(str.isdigit, name))
        return "PCM_U8" if name == "pcm_u8" else f"PCM_{bits or 16}"
    return name.upper()


def _depth(codec: str, track: AudioStream) -> str:
    form = track.format
    if form.name.startswith(("flt", "dbl")):
        return "FLOAT"
    return "16" if form.bytes <= 2 else "24" if codec in _OF_24_BITS else "32"


def words(error: Exception) -> str:
    """FFmpeg's error message, as a clause."""
    return (getattr(error, "strerror", None) or str(error)).strip().rstrip(".") or type(error).__name__
