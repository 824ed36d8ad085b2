"""Opening a recording safely: the one place where libsndfile meets a file that somebody sent.

Refuses what is no regular file before reading a byte, says in words why a file cannot be used, and mends
the two lies about length that libsndfile believes (see `headers`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

from dacse_cli.audio.headers import (
    is_empty_data,
    mp3_counts_frames,
    ogg_is_cut,
    read_header,
    unreadable_kind,
)
from dacse_cli.audio.info import AudioInfo
from dacse_cli.config import MAX_RATE, MIN_RATE
from dacse_cli.errors import InputError

MAX_CHANNELS = 64
# The most that any format here packs into a byte: digital silence in FLAC, 65,535 samples in 12 bytes.
_MAX_FRAMES_PER_BYTE = 8192
_UNKNOWN_LENGTH = 2**40
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


class _MendedStream:
    """A file as libsndfile should see it: some bytes replaced, or an end far behind the real one.

    With `claimed_size` a read behind the real end finds nothing, `reached_end` is set, and the last bytes
    of the claim, where an MP3 may hold a tag, are zeros.
    """

    _TAG_AREA = 4096

    def __init__(self, stream: BinaryIO, patches: dict[int, bytes], claimed_size: int | None = None) -> None:
        self._stream = stream
        self._patches = patches
        self._claimed_size = claimed_size
        self._at = 0
        self.reached_end = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._at
        elif whence == os.SEEK_END:
            offset += self._claimed_size or self._stream.seek(0, os.SEEK_END)
        self._at = max(0, offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._claimed_size is not None and self._at >= self._claimed_size - self._TAG_AREA:
            data = bytes(min(len(buffer), self._claimed_size - self._at))
        else:
            self._stream.seek(self._at)
            data = self._patched(self._stream.read(len(buffer)))
            self.reached_end |= len(data) < len(buffer)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _patched(self, data: bytes) -> bytes:
        for offset, value in self._patches.items():
            for place, byte in enumerate(value, offset - self._at):
                if 0 <= place < len(data):
                    data = data[:place] + bytes([byte]) + data[place + 1 :]
        return data


class Source:
    """An open recording: `sound` to read from, and what its header says.

    Raises `InputError` with reason `missing`, `permission`, `not-a-file`, `name-too-long`, `unreadable`,
    `empty`, `not-audio`, `unsupported`, `no-samples`, `bad-rate`, `bad-channels` or `bad-header`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._closing = contextlib.ExitStack()
        self.note: str | None = None
        """What was mended, one line, or None."""
        self._mended: _MendedStream | None = None
        self._stream = self._closing.enter_context(open_regular(path))
        try:
            self._size = os.fstat(self._stream.fileno()).st_size
            if self._size == 0:
                raise InputError("empty file", reason="empty")
            self._header = read_header(self._stream)
            self.sound = self._closing.enter_context(self._open_sound(path))
            self.length_known = self.sound.frames < _UNKNOWN_LENGTH
            self.info = self._checked_info()
        except OSError as error:
            self.close()
            raise InputError(f"cannot be read: {error.strerror}", reason="unreadable") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; may be called twice."""
        with contextlib.suppress(OSError):  # it was only read: what was read is not wrong for it
            self._closing.close()

    @property
    def reached_end(self) -> bool:
        """Whether an error of the decoder is only the end of a file whose length it cannot know."""
        return self._mended is not None and self._mended.reached_end

    def promised_frames(self) -> int | None:
        """Samples a channel that the header promises, or None where it promises nothing.

        Found from the bytes that are missing: promised = held * bytes promised / bytes there.
        """
        if not self.length_known:
            return None
        header = self._header
        if header is None or header.data_offset is None or header.data_bytes is None or self._mended:
            return self.info.frames
        there = self._size - header.data_offset
        if there <= 0 or header.data_bytes <= there:
            return self.info.frames
        return self.info.frames * header.data_bytes // there

    def end_is_missing(self) -> bool:
        """Whether an Ogg file stops before its last page; to be asked after the last read."""
        return self.info.container == "OGG" and ogg_is_cut(self._stream, self._size)

    def _open_sound(self, path: str | os.PathLike[str]) -> Any:
        # asked first: libsndfile and this object share one file position
        may_be_mp3 = self._header is None or self._header.container == "MP3"
        counts_frames = not may_be_mp3 or mp3_counts_frames(self._stream)
        self._mended = self._mend_pipe_length()
        sound = self._libsndfile(path)
        if sound.format == "MP3" and not counts_frames:
            sound.close()
            self._mended = _MendedStream(self._stream, {}, claimed_size=_UNKNOWN_LENGTH)
            sound = self._libsndfile(path)
        return sound

    def _libsndfile(self, path: str | os.PathLike[str]) -> Any:
        # A descriptor cannot be swapped for another file meanwhile, keeps libsndfile from guessing by the
        # suffix, and needs no name it could stumble over; across Windows C libraries it has no meaning.
        self._stream.seek(0)
        handle: Any = self._mended or (self._stream.fileno() if os.name == "posix" else os.fspath(path))
        try:
            return _ForwardSound(handle, closefd=False)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: named .raw, on Windows
            raise self._refusal(str(error)) from error

    def _mend_pipe_length(self) -> _MendedStream | None:
        """The stream with its real length written in, if it is a RIFF file of length 0 with samples."""
        header = self._header
        if header is None or header.data_offset is None or not header.size_fields or header.data_bytes != 0:
            return None
        there = self._size - header.data_offset
        little = header.little_endian
        if is_empty_data(self._stream, header.data_offset, self._size, little_endian=little):
            return None
        length = min(there, 0xFFFFFFFF).to_bytes(4, "little" if little else "big")
        self.note = "the header gives no length, as in a piped recording: read to the end of the file"
        return _MendedStream(self._stream, dict.fromkeys(header.size_fields, length))

    def _checked_info(self) -> AudioInfo:
        sound = self.sound
        check_rate(sound.samplerate)
        check_channels(sound.channels)
        frames = sound.frames if self.length_known else 0
        if self.length_known and frames > self._size * _MAX_FRAMES_PER_BYTE:
            claim = frames / sound.samplerate / 3600
            raise InputError(
                f"the header claims {claim:,.0f} hours of sound in {self._size:,} bytes", reason="bad-header"
            )
        if self.length_known and frames <= 0:
            raise InputError("no samples in it", reason="no-samples")
        return AudioInfo(frames, sound.samplerate, sound.channels, sound.format, sound.subtype, self._size)

    def _refusal(self, cause: str) -> InputError:
        """Why libsndfile does not open this file, from the file's own bytes."""
        self._stream.seek(0)
        kind = unreadable_kind(self._stream.read(36))
        if kind is not None:
            hint = "convert it first, for example: ffmpeg -i IN OUT.wav"
            return InputError(f"format not supported: {kind}", reason="unsupported", hint=hint)
        header = self._header
        if header is None:
            return InputError("not an audio file", reason="not-audio")
        try:
            check_rate(header.sample_rate)
            check_channels(header.channels)
        except InputError as error:
            return error
        says = cause.rpartition(": ")[2].strip()
        if header.data_offset is None and header.container not in ("FLAC", "OGG", "MP3"):
            return InputError("no audio data in it", reason="no-samples")
        if "unimplemented" in says or "nsupported" in says or "nknown format" in says:
            return InputError(f"format not supported: {header.container}, {says}", reason="unsupported")
        return InputError(f"damaged or cut {header.container} file ({says})", reason="bad-header")


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """The file, opened without ever waiting; a pipe or device is an `InputError`."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        kind, words = "unreadable", f"cannot be opened: {error.strerror}"
        if error.errno in _OPEN_ERRORS:
            kind, words = _OPEN_ERRORS[error.errno]
        if kind == "missing" and Path(path).is_symlink():
            words = "a symbolic link that leads nowhere"
        raise InputError(words, reason=kind) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError("not a regular file", reason="not-a-file")
    # unbuffered, because libsndfile moves the position of the same descriptor
    return os.fdopen(descriptor, "rb", buffering=0)


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
