"""Samples out of a media file's audio track, block by block, in constant memory.

The samples of the track are the decoder's output without the priming that the container declares, up to the
end in an MP4's edit list; a gap in the timestamps is silence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from dacse_cli.audio.containers.kinds import MP4, Kind
from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.media.container import (
    close_container,
    codec_name,
    container_name,
    main_audio,
    open_container,
    words,
)
from dacse_cli.audio.media.length import declared_end, declared_seconds, share_there
from dacse_cli.audio.source import check_channels, check_rate, open_audio
from dacse_cli.errors import InputError

Samples = NDArray[np.float32]
GAP_SECONDS = Fraction(1, 10)
"""Smaller jitter of timestamps is ignored: Matroska counts in milliseconds, and recorders are late."""
MOST_SILENCE_SECONDS, MOST_SILENCE_SHARE = 3600, 30
"""Gaps may add up to so many seconds, and to so many times what is decoded: phones send nothing in pauses."""
_FILL = 4096
"""Samples behind the declared end that an encoder may need to fill its last packet."""
PLANES = 8
"""Channels from which on PyAV 18 looks for a plane behind the last one and crashes."""
_FULL_SCALE = {"u1": 128.0, "i2": 2.0**15, "i4": 2.0**31}


class MediaReader:
    """An audio track read from start to end, at most `frames` samples per channel of it.

    The interface of `AudioReader`: the constructor raises `InputError`; damage inside raises nothing.
    """

    def __init__(self, path: str | os.PathLike[str], kind: Kind, frames: int | None = None) -> None:
        self._container = open_container(path, kind)
        self._kind = kind
        self.damage: str | None = None
        self.frames_read = 0
        self._limit = frames
        self._bad_packets = self._silence = 0
        self._note: str | None = None
        self._rate = self._channels = self._given = 0  # until the first frame is decoded
        self._start, self._share = Fraction(0), Fraction(1)
        self._end: int | None = None
        try:
            self._track = main_audio(self._container, kind)
            for stream in self._container.streams:
                if stream.index != self._track.index:
                    stream.discard = av.stream.Discard.all
            if self._track.codec_context is None:
                raise InputError("its audio has a codec that is not known", reason="unsupported")
            self._track.codec_context.thread_count = 1
            self._blocks = self._decoded()
            self._ahead = next(self._blocks, None)  # the decoder's output may differ from the headers
            if self._ahead is None:
                raise InputError(self.damage or "no samples in it", reason="no-samples")
            self.info = self._checked_info(path)
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
    def counted(self) -> bool:
        """Whether `info.frames` is the file's own count."""
        return True

    @property
    def start(self) -> Fraction:
        """Seconds from the start of the file's time line to the first sample."""
        return self._start

    def read(self, count: int) -> Samples:
        """The next samples `[C, n]`; n is `count`, or less at the end of the track, then 0."""
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
        """Pass over the next `count` samples per channel, or to the end, by decoding them."""
        while count > 0 and (passed := self.read(min(count, 65_536)).shape[1]):
            count -= passed

    def warning(self) -> str | None:
        """After the last read: in one line, how the track is incomplete or damaged, or None."""
        if self.damage is not None:
            return f"damaged: {self.damage}"
        promised = self._promised()
        if self._limit is None and 0 < self.frames_read < promised - self._rate:
            return f"truncated: {self.frames_read:,} of {promised:,} samples are there"
        if self._limit is None and self._share < 1:
            return f"truncated: {self.frames_read:,} samples are there, the end is missing"
        if self._bad_packets:
            return f"damaged: {self._bad_packets} packets could not be decoded"
        return self._note

    def _promised(self) -> int:
        """Samples according to the container; 0 where it gives no number."""
        if self._end is not None:
            return self._end
        seconds = declared_seconds(self._kind, self._container, self._track)
        return 0 if seconds is None else round(seconds * self._rate)

    # -- decoding ----------------------------------------------------------------------------------------

    def _decoded(self) -> Iterator[Samples]:
        """All samples `[C, n]`, gaps filled, cut where the track ends."""
        fill: list[Samples] = []
        for frame in self._frames():
            block = _samples_of(frame)
            if not self._rate:
                block = self._begin(frame, block)
            for piece in (self._gap_before(frame, self._given + sum(map(_length, fill))), block):
                fill.append(piece)
                yield from self._released(fill, frame.samples)

    def _released(self, fill: list[Samples], packet: int) -> Iterator[Samples]:
        """The part of `fill` that belongs to the track; the rest stays there.

        What lies behind the declared end fills up the last packet. Where it is more than that, the declared
        end is wrong.
        """
        while fill:
            room = None if self._end is None else self._end - self._given
            if room is None or _length(fill[0]) <= room:
                self._given += _length(fill[0])
                yield fill.pop(0)
            elif room > 0:
                self._given += room
                yield fill[0][:, :room]
                fill[0] = fill[0][:, room:]
            elif sum(map(_length, fill)) > max(_FILL, 2 * packet):
                self._note = f"its header counts {self._end:,} samples, and more are there: all are read"
                self._end = None
            else:
                return

    def _begin(self, frame: AudioFrame, block: Samples) -> Samples:
        """Store the format of the first frame; its samples without those before the start of the track."""
        self._rate, self._channels = frame.sample_rate, frame.layout.nb_channels
        self._start = Fraction(frame.pts or 0) * (frame.time_base or 0)
        self._end = declared_end(self._kind, self._track, self._rate)
        if self._kind is not MP4 or self._start >= 0:
            return block
        early = round(-self._start * self._rate)
        self._start = Fraction(0)
        return block[:, early:]

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
                self.damage = f"reading ends after {self.frames_read:,} samples ({words(error)})"
                return
            for frame in frames:
                if frame.samples and self._fits(frame):
                    yield frame

    def _fits(self, frame: AudioFrame) -> bool:
        """Whether a frame goes on with the rate and channels of the first."""
        if not self._rate or (frame.sample_rate, frame.layout.nb_channels) == (self._rate, self._channels):
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
        self._silence += missing
        most = max(MOST_SILENCE_SECONDS * self._rate, MOST_SILENCE_SHARE * (given + missing - self._silence))
        if self._silence > most:
            hours = self._silence / self._rate / 3600
            raise InputError(f"its timestamps leave {hours:,.1f} hours without sound", reason="bad-header")
        return np.zeros((self._channels, missing), np.float32)

    def _checked_info(self, path: str | os.PathLike[str]) -> AudioInfo:
        check_rate(self._rate)
        check_channels(self._channels)
        with open_audio(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            self._share = share_there(self._kind, self._track, stream, size)
        frames = self._promised()
        if not frames and self._container.duration:
            frames = round(Fraction(self._container.duration, av.time_base) * self._rate)
        container = container_name(self._container, self._kind)
        there = int(frames * self._share)
        return AudioInfo(there, self._rate, self._channels, container, codec_name(self._track), size)


def _samples_of(frame: AudioFrame) -> Samples:
    """A frame as float32 `[C, n]`, full scale 1."""
    if frame.format.is_planar and frame.layout.nb_channels >= PLANES:
        (frame,) = av.AudioResampler(format=frame.format.packed).resample(frame)
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, frame.layout.nb_channels).T
    kind = array.dtype.str[1:]
    if kind in _FULL_SCALE:
        offset = 128.0 if kind == "u1" else 0.0
        array = (array - offset) / _FULL_SCALE[kind]
    return np.ascontiguousarray(array, dtype=np.float32)


def _length(samples: Samples) -> int:
    return int(samples.shape[1])
