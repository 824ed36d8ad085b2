"""Samples out of a media file's audio track, block by block, in constant memory.

What counts as a sample of the track: everything the decoder gives once the priming that the container
declares is taken off, up to the end that an MP4's edit list names; a gap in the timestamps is silence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.media.kinds import MP4, Kind
from dacse_cli.audio.source import check_channels, check_rate, open_regular
from dacse_cli.errors import InputError

Samples = NDArray[np.float32]
GAP_SECONDS = Fraction(1, 10)
"""Timestamps may jitter by less: Matroska counts in milliseconds, and recorders are late."""
LONGEST_GAP_SECONDS = 3600
_FULL_SCALE = {"u1": 128.0, "i2": 2.0**15, "i4": 2.0**31}
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


def open_container(path: str | os.PathLike[str], kind: Kind) -> InputContainer:
    """The file opened for reading by the demuxer of `kind` alone. Raises `InputError`."""
    stream = open_regular(path)
    try:
        # the file object keeps FFmpeg from opening anything by name, whatever the file asks for
        return av.open(
            _Bytes(stream), "r", format=kind.demuxer, metadata_errors="replace", io_open=_refuse_to_open
        )
    except (av.error.FFmpegError, ValueError, OSError) as error:
        stream.close()
        raise InputError(
            f"damaged or cut {kind.label} file ({_words(error)})", reason="bad-header"
        ) from error


class _Bytes:
    """An open file as FFmpeg sees it: an impossible place is an answer, not an exception."""

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
    raise PermissionError(f"the file names another: {url}")


def main_audio(container: InputContainer, kind: Kind) -> AudioStream:
    """The track to be enhanced: the first one marked as default, else the first. Raises `InputError`."""
    tracks = list(container.streams.audio)
    if not tracks:
        raise InputError(f"no audio track in this {kind.label} file", reason="no-samples")
    return next((track for track in tracks if track.disposition & av.stream.Disposition.default), tracks[0])


class MediaReader:
    """An audio track read from start to end, at most `frames` samples a channel of it.

    The interface of `AudioReader`: the constructor raises `InputError`; damage inside raises nothing.
    """

    def __init__(self, path: str | os.PathLike[str], kind: Kind, frames: int | None = None) -> None:
        self._container = open_container(path, kind)
        self._kind = kind
        self.damage: str | None = None
        self.frames_read = 0
        self._limit = frames
        self._bad_packets = 0
        try:
            self._track = main_audio(self._container, kind)
            for stream in self._container.streams:
                if stream.index != self._track.index:
                    stream.discard = av.stream.Discard.all
            if self._track.codec_context is None:
                raise InputError("its audio has a codec that is not known", reason="unsupported")
            self._track.codec_context.thread_count = 1
            self._blocks = self._decoded()
            self._ahead = next(self._blocks, None)  # what a decoder gives may differ from what headers say
            if self._ahead is None:
                raise InputError(self.damage or "no samples in it", reason="no-samples")
            self.info = self._checked_info(Path(path).stat().st_size)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> MediaReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        close_container(self._container)

    @property
    def start(self) -> Fraction:
        """Seconds from the start of the file's time line to the first sample."""
        return self._start

    def read(self, count: int) -> Samples:
        """The next samples `[C, n]`, n <= count; n is 0 at the end and stays 0."""
        if self._limit is not None:
            count = min(count, self._limit - self.frames_read)
        pieces, have = [], 0
        while have < count and self._ahead is not None:
            piece = self._ahead[:, : count - have]
            rest = self._ahead[:, piece.shape[1] :]
            self._ahead = rest if rest.shape[1] else next(self._blocks, None)
            pieces.append(piece)
            have += piece.shape[1]
        self.frames_read += have
        return np.concatenate(pieces, axis=1) if pieces else np.empty((self.info.channels, 0), np.float32)

    def skip(self, count: int) -> None:
        """Pass over the next `count` samples a channel, or to the end, by decoding them."""
        while count > 0 and (passed := self.read(min(count, 65_536)).shape[1]):
            count -= passed

    def warning(self) -> str | None:
        """After the last read: in one line how the track is not whole, or None."""
        if self.damage is not None:
            return f"damaged: {self.damage}"
        promised = self._end if self._end is not None else 0
        if self._limit is None and 0 < self.frames_read < promised - self._rate:
            return f"truncated: {self.frames_read:,} of {promised:,} samples are there"
        if self._bad_packets:
            return f"damaged: {self._bad_packets} packets could not be decoded"
        return None

    # -- decoding ----------------------------------------------------------------------------------------

    def _decoded(self) -> Iterator[Samples]:
        """All samples `[C, n]`, gaps filled, cut where the track ends."""
        given = 0
        for frame in self._frames():
            if given == 0:
                self._begin(frame)
            for block in (self._gap_before(frame, given), _samples_of(frame)):
                left = block.shape[1] if self._end is None else max(0, self._end - given)
                if min(left, block.shape[1]):
                    yield block[:, :left]
                    given += min(left, block.shape[1])

    def _begin(self, frame: AudioFrame) -> None:
        self._rate, self._channels = frame.sample_rate, frame.layout.nb_channels
        self._start = Fraction(frame.pts or 0) * (frame.time_base or 0)
        self._end = self._declared_end()

    def _declared_end(self) -> int | None:
        """Samples up to the end that an MP4 declares, to the sample where it counts time in samples."""
        duration, base = self._track.duration, self._track.time_base
        if self._kind is not MP4 or not duration or base is None:
            return None
        return ceil(Fraction(int(duration)) * Fraction(base) * int(self._rate))

    def _frames(self) -> Iterator[AudioFrame]:
        packets = self._container.demux(self._track)
        while True:
            try:
                packet = next(packets)
                frames = packet.decode()
            except StopIteration:
                return
            except av.error.InvalidDataError:
                self._bad_packets += 1
                continue
            except (av.error.FFmpegError, OSError) as error:
                self.damage = f"reading ends after {self.frames_read:,} samples ({_words(error)})"
                return
            for frame in frames:
                if frame.samples and self._fits(frame):
                    yield frame

    def _fits(self, frame: AudioFrame) -> bool:
        """Whether a frame goes on with the rate and channels of the first."""
        known = getattr(self, "_rate", None)
        if known is None or (frame.sample_rate, frame.layout.nb_channels) == (known, self._channels):
            return True
        self._bad_packets += 1
        return False

    def _gap_before(self, frame: AudioFrame, given: int) -> Samples:
        """Silence for the time that no packet covers."""
        silence = np.zeros((self._channels, 0), np.float32)
        if not given or frame.pts is None or frame.time_base is None:
            return silence
        missing = round((frame.pts * frame.time_base - self._start) * self._rate) - given
        if missing <= GAP_SECONDS * self._rate:
            return silence
        if missing > LONGEST_GAP_SECONDS * self._rate:
            hours = missing / self._rate / 3600
            raise InputError(f"its timestamps jump by {hours:,.1f} hours", reason="bad-header")
        return np.zeros((self._channels, missing), np.float32)

    def _checked_info(self, size: int) -> AudioInfo:
        check_rate(self._rate)
        check_channels(self._channels)
        frames = self._end or 0
        if not frames and self._container.duration:
            frames = round(Fraction(self._container.duration, av.time_base) * self._rate)
        container = container_name(self._container, self._kind)
        return AudioInfo(frames, self._rate, self._channels, container, codec_name(self._track), size)


def container_name(container: InputContainer, kind: Kind) -> str:
    """The name under which `kinds` knows an open file's container."""
    if kind is MP4:
        brand = container.metadata.get("major_brand", "qt")
        return {"qt": "MOV", "M4A": "M4A", "M4B": "M4A"}.get(brand.strip(), "MP4")
    return kind.name


def codec_name(track: AudioStream) -> str:
    """The name under which `kinds` knows a track's codec: `AAC`, `ALAC_24`, `PCM_16`, ..."""
    name: str = track.codec_context.name
    if name in _CODEC_NAMES:
        return _CODEC_NAMES[name]
    if name in ("alac", "flac"):
        return f"{name.upper()}_{16 if track.format.bytes <= 2 else 24}"
    if name.startswith("pcm_"):
        bits = "".join(filter(str.isdigit, name))
        return "PCM_U8" if name == "pcm_u8" else f"PCM_{bits}"
    return name.upper()


def _samples_of(frame: AudioFrame) -> Samples:
    """A frame as float32 `[C, n]`, full scale 1."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, frame.layout.nb_channels).T
    kind = array.dtype.str[1:]
    if kind in _FULL_SCALE:
        offset = 128.0 if kind == "u1" else 0.0
        array = (array - offset) / _FULL_SCALE[kind]
    return np.ascontiguousarray(array, dtype=np.float32)


def _words(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).strip().rstrip(".") or type(error).__name__
