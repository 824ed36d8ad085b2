"""Samples out of a file, block by block, in constant memory.

Only `SoundFile.read(n)` is used: on a cut MP3 `SoundFile.blocks` yields memory that was never written, and
reading everything at once loses all samples before an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import soundfile
from numpy.typing import NDArray

from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.resample import StreamResampler
from dacse_cli.audio.source import Source
from dacse_cli.errors import InputError

BLOCK = 65_536
"""Samples per channel of a read that is neither slow nor large: 256 kB per channel."""
_SEEK_IS_EXACT = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC")
_BLOCK_CODECS = ("IMA_ADPCM", "MS_ADPCM", "GSM610", "ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32")


class AudioReader:
    """A recording read from start to end, at most `frames` samples per channel of it.

    The constructor raises `InputError` as `Source` does. Damage inside the file raises nothing: the samples
    before it are returned, then the end, and `damage` holds the decoder's message. Appended recordings with
    another rate or other channels are converted to those of the first.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        frames: int | None = None,
        *,
        thorough: bool = True,
        reading: Callable[[], None] | None = None,
    ) -> None:
        self._source = Source(path, thorough=thorough, reading=reading)
        self.info = self._source.info
        self.damage: str | None = None
        self.frames_read = 0
        self._limit = frames
        self._ended = self._part_ended = False
        self._joint: Joint | None = None
        self._ahead = np.empty((self.info.channels, 0), np.float32)

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._source.close()

    @property
    def counted(self) -> bool:
        """Whether `info.frames` is what the file says; an estimate where recordings are joined."""
        return self._source.parts == 1

    def read(self, count: int) -> NDArray[np.float32]:
        """The next samples `[C, n]`; n is `count`, or less at the end of the last recording, then 0."""
        if self._limit is not None:
            count = min(count, self._limit - self.frames_read)
        pieces, have = [np.empty((self.info.channels, 0), np.float32)], 0
        while have < count and (self._ahead.shape[1] or not self._ended):
            if not self._ahead.shape[1]:
                self._ahead = self._next(count - have)
            piece, self._ahead = self._ahead[:, : count - have], self._ahead[:, count - have :]
            pieces.append(piece)
            have += piece.shape[1]
        self.frames_read += have
        return np.concatenate(pieces, axis=1)

    def _next(self, count: int) -> NDArray[np.float32]:
        """About `count` samples `[C, n]` more; n may be 0 where one recording ends and another begins."""
        block = np.empty((self.info.channels, 0), np.float32) if self._part_ended else self._decoded(count)
        if block.shape[1]:
            return block if self._joint is None else self._joint.push(block)
        rest = block if self._joint is None else self._joint.finish()
        self._open_next()
        return rest

    def _open_next(self) -> None:
        """Go on with the next recording in the file, or end."""
        self._part_ended, self._joint = False, None
        try:
            self._ended = not self._source.next_part()
        except InputError as error:
            self.damage, self._part_ended = error.message, True
            return
        sound = self._source.sound
        if not self._ended and (sound.samplerate, sound.channels) != (
            self.info.sample_rate,
            self.info.channels,
        ):
            self._joint = Joint(sound.samplerate, sound.channels, self.info)

    def _decoded(self, count: int) -> NDArray[np.float32]:
        """The next samples `[C, n]` of the open recording, at its own rate; none at its end."""
        sound = self._source.sound
        # NaN marks what the decoder has not written when it stops with an error in the middle of a block
        block = np.full((count, sound.channels), np.nan, np.float32)
        try:
            block = sound.read(count, out=block)
        except soundfile.LibsndfileError as error:
            written = np.flatnonzero(~np.isnan(block[:, -1]))
            block = block[: written[-1] + 1] if len(written) else block[:0]
            self._part_ended = True
            if not self._source.reached_end:
                self.damage = error.error_string.strip()
        return np.ascontiguousarray(block.T)

    def skip(self, count: int) -> None:
        """Pass over the next `count` samples per channel, or to the end; by seeking where that is exact."""
        info = self.info
        if self.counted and info.container in _SEEK_IS_EXACT and info.subtype not in _BLOCK_CODECS:
            target = min(self.frames_read + count, info.frames)
            try:
                self._source.sound.seek(target)
            except soundfile.LibsndfileError:  # a cut file ends before it
                self._ended = True
            else:
                self.frames_read = target
            return
        while count > 0 and (passed := self.read(min(count, BLOCK)).shape[1]):
            count -= passed

    def warning(self) -> str | None:
        """After the last read: in one line, how the file is incomplete or damaged, or None."""
        there, rate = self.frames_read, self.info.sample_rate
        promised = self._source.promised_frames()
        if self.damage is not None:
            whole = "" if promised is None else f" of {_length(promised, rate)}"
            return f"damaged: {_length(there, rate)}{whole} could be decoded ({self.damage})"
        if promised is not None and there < promised:
            return f"truncated: {_both(there, promised, rate)} are there"
        if self._source.end_is_missing():
            return f"truncated: {_length(there, rate)} are there, the end is missing"
        return self._source.note


class Joint:
    """Samples of a recording that is joined on -> samples at the rate and with the channels of the first."""

    def __init__(self, rate: int, channels: int, first: AudioInfo) -> None:
        self._resampler = StreamResampler(rate, first.sample_rate, first.channels)
        self._channels = first.channels
        self._same = channels == first.channels

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The output that `samples` `[C', n]` complete, `[C, m]`."""
        if not self._same:  # the mean of all, in every channel
            samples = np.repeat(samples.mean(axis=0, keepdims=True), self._channels, axis=0)
        return self._resampler.push(samples)

    def finish(self) -> NDArray[np.float32]:
        """The rest, `[C, m]`."""
        return self._resampler.finish()


def _length(frames: int, rate: int) -> str:
    return f"{frames / rate:,.1f} s" if frames >= rate else f"{frames:,} samples"


def _both(there: int, promised: int, rate: int) -> str:
    """Seconds, or samples where seconds would not show the difference."""
    seconds = f"{there / rate:,.1f} s of {promised / rate:,.1f} s"
    if there < rate or f"{there / rate:,.1f}" == f"{promised / rate:,.1f}":
        return f"{there:,} of {promised:,} samples"
    return seconds
