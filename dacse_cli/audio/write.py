"""Samples into a file that is read back and verified before it gets its name.

libsndfile reports a full disk for WAV only: FLAC, Ogg and MP3 lose their last kilobytes without an error.
So every write goes through a stream that keeps its error, and an output counts as written when it has been
opened again and holds as many samples as went in.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import soundfile
from numpy.typing import NDArray

from dacse_cli.audio.containers.headers import read_header
from dacse_cli.audio.formats import OutputFormat
from dacse_cli.audio.metadata.chunks import Extras, settle
from dacse_cli.audio.read import BLOCK, AudioReader
from dacse_cli.errors import InputError, OutputError
from dacse_cli.files.atomic import PartFile, Written

# Quantised here, because libsndfile rounds down, which shifts a recording by half a step.
_INTEGER_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "ULAW": 16, "ALAW": 16}
FLOATING = ("FLOAT", "DOUBLE")
# libsndfile's Vorbis encoder puts a whole write on the stack and crashes on a long one
_WRITE_BLOCK = 16_384
_CANNOT_BE_EMPTY = ("FLAC", "MP3", "OGG")


class PartStream:
    """The part file as an encoder sees it. `error` is the first failed write, which libraries forget.

    After `insert` the encoder does not see the inserted bytes: positions after them are shifted.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._insert_at = self._inserted = 0
        self.error: OSError | None = None
        self.closed = False

    def insert(self, at: int, data: bytes) -> None:
        """Put `data` before what stands at `at` so far. Raises `OSError`."""
        os.lseek(self._descriptor, at, os.SEEK_SET)
        behind = os.read(self._descriptor, 1 << 16)
        os.lseek(self._descriptor, at, os.SEEK_SET)
        for piece in (data, behind):
            view = memoryview(piece)
            while view:
                view = view[os.write(self._descriptor, view) :]
        self._insert_at, self._inserted = at, len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self.tell()
        elif whence == os.SEEK_END:
            offset += os.lseek(self._descriptor, 0, os.SEEK_END) - self._inserted
        shift = self._inserted if offset >= self._insert_at else 0
        os.lseek(self._descriptor, offset + shift, os.SEEK_SET)
        return offset

    def tell(self) -> int:
        at = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return at - self._inserted if at >= self._insert_at + self._inserted else at

    def write(self, data: bytes) -> int:
        if self.closed:
            return len(data)
        written = 0
        view = memoryview(data)
        try:
            if self._inserted and (room := self._insert_at - self.tell()) > 0:
                view = view[: min(room, len(view))]
            while self.error is None and written < len(view):
                written += os.write(self._descriptor, view[written:])
        except OSError as error:
            self.error = error
            return written
        if self.error is None and written < len(data):
            self.seek(self._insert_at)
            written += self.write(data[written:])
        return written


AddTags = Callable[[Path], Sequence[str]]
"""Given the closed part file, adds tags to it; what could not be kept is returned."""


class OutputWriter:
    """Writes samples `[C, n]` to a part file beside `target`; `finish` verifies it, `commit` names it.

    As a context manager it removes the part file unless `finish` was reached. Every failure removes it
    and raises `OutputError` (the run cannot go on), `LockedError`, or `InputError` with reason
    `name-too-long`, `not-finite` or `no-samples` (only this file cannot).

    `extras` are the chunks that a WAV file shall hold; what cannot be kept of tags is in `notes` in the end.
    """

    def __init__(
        self,
        target: Path,
        fmt: OutputFormat,
        channels: int,
        extras: Extras | None = None,
        add_tags: AddTags | None = None,
    ) -> None:
        self._target = target
        self._format = fmt
        self._channels = channels
        self._clipped = self._frames = 0
        self._extras, self._add_tags = extras, add_tags
        self.notes: list[str] = []
        self._part = PartFile(target)
        self._stream = PartStream(self._part.descriptor)
        self._sound: Any = None
        try:
            self._sound = self._open()
            self._insert_extras()
        except OSError as error:
            self._stream.error = error
            self._fail("", error)
        except (soundfile.LibsndfileError, TypeError, ValueError) as error:
            self._fail(str(error), error)

    def __enter__(self) -> OutputWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._part.descriptor >= 0:
            self.discard()

    def discard(self) -> None:
        """Give up: remove the part file."""
        self._abandon_sound()
        self._part.discard()

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append `samples` `[C, n]`; outside [-1, 1] they are cut and counted, unless stored as float."""
        for start in range(0, samples.shape[1], _WRITE_BLOCK):
            block = self._stored(samples[:, start : start + _WRITE_BLOCK])
            try:
                self._sound.write(np.ascontiguousarray(block.T))
            except (soundfile.LibsndfileError, AssertionError) as error:
                self._fail(str(error), error)
            self._check_stream()
            self._frames += block.shape[1]

    def finish(self, expected_frames: int) -> Written:
        """Close, open again, count the samples, hash, sync: what to give to `commit`.

        `expected_frames` other than the number written is a mistake of the caller: `ValueError`.
        """
        if self._frames != expected_frames:
            raise ValueError(f"{self._frames} samples were written, not {expected_frames}")
        if expected_frames == 0 and self._format.container in _CANNOT_BE_EMPTY:
            self.discard()
            raise InputError(f"0 samples cannot be stored as {self._format.container}", reason="no-samples")
        self._close()
        if expected_frames:
            self._verify()
        return replace(self._part.seal(), clipped=self._clipped)

    def reads_back(self) -> bool:
        """Close the file and look whether it holds what was written. Raises `OutputError`."""
        self._close()
        return self._unreadable() is None

    def _abandon_sound(self) -> None:
        """Close libsndfile's file while its descriptor still belongs to this file."""
        if self._sound is not None:
            with contextlib.suppress(soundfile.LibsndfileError):
                self._sound.close()

    def _open(self) -> Any:
        return soundfile.SoundFile(
            self._stream,
            "w",
            self._format.sample_rate,
            self._channels,
            subtype=self._format.subtype,
            format=self._format.container,
        )

    def _insert_extras(self) -> None:
        """Put the chunks where readers expect them: after the format, before the samples."""
        self._added = b"" if self._extras is None else self._extras.packed()
        if self._added:
            with self._part.path.open("rb") as file:
                header = read_header(file)
            assert header is not None and header.samples_chunk_at is not None
            self._stream.insert(header.samples_chunk_at, self._added)
            self._stream.seek(0, os.SEEK_END)

    def _decorate(self) -> None:
        """What is added once the encoder is done with the file. Raises `OSError`."""
        if self._extras is not None:
            settle(self._part.descriptor, len(self._added), self._extras)
        if self._add_tags is not None:
            self.notes += self._add_tags(self._part.path)

    def _check_stream(self) -> None:
        if self._stream.error is not None:
            self._fail("", None)

    def _stored(self, block: NDArray[np.float32]) -> NDArray[Any]:
        """`block` `[C, n]` as the type that is handed to libsndfile."""
        try:
            limited, clipped = within_full_scale(block)
        except InputError:
            self.discard()
            raise
        subtype = self._format.subtype
        if subtype in FLOATING:
            return block
        block, self._clipped = limited, self._clipped + clipped
        bits = _INTEGER_BITS.get(subtype)
        return block if bits is None else quantise(block, bits)

    def _close(self) -> None:
        """End the file, with its chunks and tags. Raises `OutputError`."""
        try:
            self._sound.close()
        except soundfile.LibsndfileError as error:
            self._fail(str(error), error)
        self._check_stream()
        try:
            self._decorate()
        except OSError as error:
            self._part.fail(error)

    def _verify(self) -> None:
        found = self._unreadable()
        if found is None:
            return
        if self._stream.error is None and (self._added or self._add_tags is not None):
            # the metadata of one input must not end the run for all others
            self.discard()
            raise InputError(f"with its metadata the output {found}", reason="format")
        self._fail(found, None)

    def _unreadable(self) -> str | None:
        """What is wrong with the closed file; None where all samples can be read back."""
        try:
            with AudioReader(self._part.path) as reader:
                while reader.read(BLOCK).shape[1]:
                    pass
                same = (reader.info.sample_rate, reader.info.channels, reader.frames_read) == (
                    self._format.sample_rate,
                    self._channels,
                    self._frames,
                )
                if same and reader.damage is None:
                    return None
                return f"{reader.frames_read:,} of {self._frames:,} samples can be read back"
        except InputError as error:
            return f"cannot be read back: {error.message}"

    def _fail(self, says: str, cause: Exception | None) -> NoReturn:
        """Remove the file and raise the system's error, or libsndfile's message `says`."""
        self._abandon_sound()
        if self._stream.error is not None:
            self._part.fail(self._stream.error)
        self._part.discard()
        raise OutputError(f"cannot write {self._target}: {says.strip()}") from cause


def within_full_scale(block: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """`block` cut to [-1, 1] and how many samples that changed.

    Raises `InputError` with reason `not-finite` for NaN and infinity.
    """
    peak = float(np.abs(block).max(initial=0.0))
    if not np.isfinite(peak):
        raise InputError("the result holds samples that are NaN or infinite", reason="not-finite")
    if peak <= 1:
        return block, 0
    return block.clip(-1, 1), int((np.abs(block) > 1).sum())


def quantise(block: NDArray[np.float32], bits: int) -> NDArray[np.int16] | NDArray[np.int32]:
    """Samples in [-1, 1] rounded to `bits`, in the upper bits of int16 or int32, as encoders take them."""
    # float64 for the wide ones: 2**31 - 1 is not a float32
    exact = block if bits <= 16 else block.astype(np.float64)
    steps: NDArray[Any] = np.rint(exact * 2 ** (bits - 1)).clip(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if bits <= 16:
        return np.left_shift(steps.astype(np.int16), np.int16(16 - bits))
    return np.left_shift(steps.astype(np.int32), np.int32(32 - bits))
