"""Opening a recording safely: the only place where libsndfile opens files from outside.

Refuses what is not a regular file before reading a byte, says in words why a file cannot be used, and shows
libsndfile each of the recordings in a file with a header that counts what is there (see `containers.layout`).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import soundfile

from dacse_cli.audio.containers import kinds, ogg
from dacse_cli.audio.containers.headers import read_header
from dacse_cli.audio.containers.layout import Part, layout
from dacse_cli.audio.containers.view import View
from dacse_cli.audio.info import AudioInfo
from dacse_cli.config import MAX_RATE, MIN_RATE
from dacse_cli.errors import InputError
from dacse_cli.files.foreign import foreign_content, missing_content
from dacse_cli.files.problems import reason
from dacse_cli.files.regular import NotRegularError, open_regular

MAX_CHANNELS = 64
# The most that any format here packs into a byte: digital silence in FLAC, 65,535 samples in 12 bytes.
_MAX_FRAMES_PER_BYTE = 8192
_ENDLESS = 2**40
"""Claimed size of a stream whose length libsndfile would otherwise compute from its size."""
_CONVERT = "convert it first, for example: ffmpeg -i IN OUT.wav"
_OPEN_ERRORS = {
    errno.ENOENT: ("missing", "no such file"),
    errno.ENOTDIR: ("missing", "no such file"),
    errno.ELOOP: ("missing", "a symbolic link that leads to itself"),
    errno.EACCES: ("permission", "permission denied"),
    errno.EPERM: ("permission", "permission denied"),
    errno.ENXIO: ("not-a-file", "not a regular file"),
    errno.ENAMETOOLONG: ("name-too-long", "name too long"),
}


class _ForwardSound(soundfile.SoundFile):  # type: ignore[misc]  # soundfile ships no types
    """A `SoundFile` that is only read forward.

    soundfile seeks after every read of a seekable file; on FLAC that costs a third of the time, and fails
    at the end of a stream whose header does not tell its length.
    """

    def seekable(self) -> bool:
        return False


class Watched(io.RawIOBase):
    """A stream that calls `reading` at every read."""

    def __init__(self, stream: BinaryIO, reading: Callable[[], None]) -> None:
        self._stream, self._reading = stream, reading

    def read(self, size: int = -1) -> bytes:
        """As the stream does."""
        self._reading()
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As the stream does."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """As the stream does."""
        return self._stream.tell()


class Source:
    """An open recording: `sound` to read from, and what its header says.

    A file may hold several recordings, one after the other: `next_part` opens the next of them. With
    `thorough` the whole file is looked through for them, else only its two ends; `reading` is called while
    that goes on, which takes minutes for the longest.

    Raises `InputError` with reason `missing`, `permission`, `not-a-file`, `name-too-long`, `unreadable`,
    `empty`, `not-audio`, `unsupported`, `no-samples`, `bad-rate`, `bad-channels` or `bad-header`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        thorough: bool = True,
        reading: Callable[[], None] | None = None,
    ) -> None:
        self._closing = contextlib.ExitStack()
        self._path = path
        self._view: View | None = None
        self._stream = self._closing.enter_context(open_audio(path))
        try:
            self._size = os.fstat(self._stream.fileno()).st_size
            if self._size == 0:
                raise InputError("empty file", reason="empty")
            self._found = kinds.recognise(self._stream, Path(path).suffix)
            self._header = read_header(self._stream)
            self._refuse_unsupported()
            watched = self._stream if reading is None else cast(BinaryIO, Watched(self._stream, reading))
            self._layout = layout(watched, self._found, self._size, thorough=thorough)
            self._part = 0
            self.sound = self._open(self._layout.parts[0])
            self.info = self._checked_info()
        except OSError as error:
            self.close()
            raise InputError(f"cannot be read: {reason(error)}", reason="unreadable") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; may be called twice."""
        with contextlib.suppress(OSError):  # the file was only read, so an error at closing does not matter
            if hasattr(self, "sound"):
                self.sound.close()
            self._closing.close()

    @property
    def note(self) -> str | None:
        """A remark about an unusual but fully readable file, one line, or None."""
        return self._layout.note

    @property
    def parts(self) -> int:
        """Recordings in the file."""
        return len(self._layout.parts)

    @property
    def reached_end(self) -> bool:
        """Whether an error of the decoder is only the end of a file whose length it cannot know."""
        guessed = self._layout.parts[self._part].guessed
        return guessed and self._view is not None and self._view.reached_end

    def next_part(self) -> bool:
        """Open the next recording in the file; False where there is none. Raises `InputError`."""
        self._part += 1
        if self._part >= self.parts:
            return False
        self.sound.close()
        self.sound = self._open(self._layout.parts[self._part])
        check_rate(self.sound.samplerate)
        check_channels(self.sound.channels)
        return True

    def promised_frames(self) -> int | None:
        """Samples per channel that the header promises, or None where it promises nothing.

        Where samples are not compressed, from the bytes that are missing: promised = held * bytes promised /
        bytes there.
        """
        if self._layout.promised is not None:
            return self._layout.promised
        if self.parts > 1 or self._layout.parts[0].guessed:
            return None
        header = self._header
        if header is None or header.data_offset is None or not header.data_bytes:
            return self.info.frames
        there = self._size - header.data_offset
        if there <= 0 or header.data_bytes <= there:
            return self.info.frames
        return self.info.frames * header.data_bytes // there

    def end_is_missing(self) -> bool:
        """Whether an Ogg file stops before its last page; to be asked after the last read."""
        return self.info.container == "OGG" and ogg.is_cut(self._stream, self._size)

    def _open(self, part: Part) -> Any:
        """libsndfile's file of one of the recordings."""
        # A descriptor cannot be swapped for another file meanwhile, keeps libsndfile from guessing by the
        # suffix, and needs no name it could stumble over; across Windows C libraries it has no meaning.
        self._view = None
        handle: Any = self._stream.fileno() if os.name == "posix" else os.fspath(self._path)
        if not self._layout.whole or part.patches:
            claimed = _ENDLESS if part.guessed else None
            handle = self._view = View(self._stream, part.ranges, part.patches, claimed)
        self._stream.seek(0)
        try:
            return _ForwardSound(handle, closefd=False)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: named .raw, on Windows
            raise self._refusal(str(error)) from error

    def _checked_info(self) -> AudioInfo:
        sound = self.sound
        check_rate(sound.samplerate)
        check_channels(sound.channels)
        frames = self._frames()
        if frames > self._size * _MAX_FRAMES_PER_BYTE:
            claim = frames / sound.samplerate / 3600
            raise InputError(
                f"the header claims {claim:,.0f} hours of sound in {self._size:,} bytes", reason="bad-header"
            )
        if frames <= 0:
            raise InputError("no samples in it", reason="no-samples")
        return AudioInfo(frames, sound.samplerate, sound.channels, sound.format, sound.subtype, self._size)

    def _frames(self) -> int:
        """Samples per channel of all recordings in the file; an estimate where there are several."""
        parts = self._layout.parts
        first: int = parts[0].samples or self.sound.frames
        if len(parts) == 1:
            return first
        if all(part.samples for part in parts):
            return sum(part.samples or 0 for part in parts)
        lengths = [sum(end - start for start, end in part.ranges) for part in parts]
        return first * sum(lengths) // max(1, lengths[0])

    def _refuse_unsupported(self) -> None:
        """Raise `InputError` for a kind that nothing here reads."""
        kind = None if self._found is None else self._found.kind
        if kind is not None and not kind.supported:
            raise InputError(f"format not supported: {kind.label}", reason="unsupported", hint=_CONVERT)

    def _refusal(self, cause: str) -> InputError:
        """Why libsndfile does not open this file, from the file's own bytes."""
        header, kind = self._header, None if self._found is None else self._found.kind
        if kind is None:
            self._stream.seek(0)
            foreign = foreign_content(self._stream.read(512))
            if foreign is not None:
                return InputError(f"not a recording: {foreign[0]}", reason="not-audio", hint=foreign[1])
            return InputError("not an audio file", reason="not-audio")
        if header is not None:
            try:
                check_rate(header.sample_rate)
                check_channels(header.channels)
            except InputError as error:
                return error
            if header.data_offset is None:
                return InputError("no audio data in it", reason="no-samples")
        says = cause.rpartition(": ")[2].strip()
        if "unimplemented" in says or "nsupported" in says or "nknown format" in says:
            return InputError(f"format not supported: {kind.label}, {says}", reason="unsupported")
        return InputError(f"damaged or cut {kind.label} file ({says})", reason="bad-header")


def open_audio(path: str | os.PathLike[str]) -> BinaryIO:
    """The file, opened without ever waiting; a pipe or device is an `InputError`."""
    try:
        # unbuffered, because libsndfile moves the position of the same descriptor
        return open_regular(path)
    except NotRegularError as error:
        raise InputError("not a regular file", reason="not-a-file") from error
    except OSError as error:
        kind, words = _OPEN_ERRORS.get(error.errno or 0, ("unreadable", f"cannot be opened: {reason(error)}"))
        gone = missing_content(path) if kind == "missing" and error.errno != errno.ELOOP else None
        if gone is not None:
            raise InputError(gone[0], reason=kind, hint=gone[1]) from error
        raise InputError(words, reason=kind) from error


def check_rate(rate: int | None) -> None:
    if rate is None or MIN_RATE <= rate <= MAX_RATE:
        return
    if not 0 < rate < 2**31:
        raise InputError(f"impossible sample rate: {rate} Hz", reason="bad-rate")
    raise InputError(f"sample rate {rate} Hz is outside {MIN_RATE:,} to {MAX_RATE:,} Hz", reason="bad-rate")


def check_channels(channels: int | None) -> None:
    if channels is None or 1 <= channels <= MAX_CHANNELS:
        return
    raise InputError(f"{channels:,} channels: 1 to {MAX_CHANNELS} are supported", reason="bad-channels")
