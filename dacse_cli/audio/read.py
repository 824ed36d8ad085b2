"""Samples out of a file, block by block, in constant memory.

Only `SoundFile.read(n)` is used: on a cut MP3 `SoundFile.blocks` yields memory that was never written, and
a read of everything at once throws away all that came before an error.
"""

from __future__ import annotations

import os

import numpy as np
import soundfile
from numpy.typing import NDArray

from dacse_cli.audio.source import Source

BLOCK = 65_536
"""Frames a read that is neither slow nor large: 256 kB a channel."""
_SEEK_IS_EXACT = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC")
_BLOCK_CODECS = ("IMA_ADPCM", "MS_ADPCM", "GSM610", "ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32")


class AudioReader:
    """A recording read from start to end, at most `frames` of it.

    The constructor raises `InputError` as `Source` does. Damage inside the file raises nothing: the samples
    before it are returned, then the end, and `damage` says what the decoder said.
    """

    def __init__(self, path: str | os.PathLike[str], frames: int | None = None) -> None:
        self._source = Source(path)
        self.info = self._source.info
        """`frames` in it is 0 where the header does not tell the length."""
        self.damage: str | None = None
        self.frames_read = 0
        self._limit = frames
        self._ended = False

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._source.close()

    def read(self, count: int) -> NDArray[np.float32]:
        """The next samples `[C, n]`, n <= count; n is 0 at the end and stays 0."""
        if self._limit is not None:
            count = min(count, self._limit - self.frames_read)
        if self._ended or count <= 0:
            return np.empty((self.info.channels, 0), np.float32)
        # NaN marks what the decoder has not written when it stops with an error in the middle of a block
        block = np.full((count, self.info.channels), np.nan, np.float32)
        try:
            block = self._source.sound.read(count, out=block)
            self._ended = len(block) == 0
        except soundfile.LibsndfileError as error:
            written = np.flatnonzero(~np.isnan(block[:, -1]))
            block = block[: written[-1] + 1] if len(written) else block[:0]
            self._ended = True
            if not self._source.reached_end:
                self.damage = error.error_string.strip()
        self.frames_read += len(block)
        return np.ascontiguousarray(block.T)

    def skip(self, count: int) -> None:
        """Pass over the next `count` samples a channel, or to the end; by seeking where that is exact."""
        info = self.info
        if info.container in _SEEK_IS_EXACT and info.subtype not in _BLOCK_CODECS and info.frames:
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
        """After the last read: in one line how the file is not whole, or None."""
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


def _length(frames: int, rate: int) -> str:
    return f"{frames / rate:,.1f} s" if frames >= rate else f"{frames:,} samples"


def _both(there: int, promised: int, rate: int) -> str:
    """Seconds, or samples where seconds would not show the difference."""
    seconds = f"{there / rate:,.1f} s of {promised / rate:,.1f} s"
    if there < rate or f"{there / rate:,.1f}" == f"{promised / rate:,.1f}":
        return f"{there:,} of {promised:,} samples"
    return seconds
