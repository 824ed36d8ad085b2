"""Answers of the language model that outlive their process: the finished chunks of files not yet finished.

One file a target, in `.dacse/work` below the output folder: a line of JSON that says on what the answers
depend, then one record a chunk (and try), appended with one write as soon as it is there. Nothing in it is
believed unless it fits: another first line empties the file, a torn end is cut off, and a record counts only
for the very codes it answers. So the worst that a damaged file can do is to be generated again. Knows codes,
not models; records are not synced, for a kill cannot lose them and a power cut costs a few chunks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.atomic import lock_file

if TYPE_CHECKING:  # it brings torch, which the supervisor does without
    from dacse_cli.pipeline.task.task import Chunk

Codes = NDArray[np.int16]
_RECORD = struct.Struct("<4sIIIII8sI")
"""Mark, chunk, row, attempt, codebooks, frames, digest of the question, checksum of head and answer."""
_MARK = b"\x89chk"


class KeptAnswers:
    """The answers kept for one target under one binding. Trouble with the disk only ends the keeping."""

    def __init__(self, path: Path, bound_to: Mapping[str, Any]) -> None:
        self._path = path
        self._binding = json.dumps(bound_to, sort_keys=True).encode() + b"\n"
        self._found: dict[tuple[int, int, int], int] = {}
        """(chunk, row, attempt) -> where the record starts."""
        self._end = 0
        self._descriptor = -1
        self._ended = False
        if path.exists():
            self._guarded(self._open)

    def recall(self, chunk: Chunk) -> Codes | None:
        """The answer `[K, t]` to a chunk, if it was kept for the very same codes and is whole."""
        key = (chunk.index, chunk.row, chunk.attempt)
        if key not in self._found or self._descriptor < 0:
            return None
        data = b""
        with contextlib.suppress(OSError):
            data = self._read(self._found[key], _RECORD.size + chunk.codes.nbytes)
        answer = data[_RECORD.size :]
        # all of the head follows from question and answer: it must be the one we would write
        if len(answer) != chunk.codes.nbytes or data[: _RECORD.size] != _head(chunk, answer):
            return None
        return np.frombuffer(answer, "<i2").astype(np.int16).reshape(chunk.codes.shape)

    def keep(self, chunk: Chunk, answer: Codes) -> None:
        """Append the answer `[K, t]` to a chunk."""
        if self._descriptor < 0 and not self._ended:
            self._guarded(self._open)
        if not self._ended:
            data = np.ascontiguousarray(answer, "<i2").tobytes()
            self._guarded(lambda: self._append(_head(chunk, data) + data))

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._ended = True
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError:
            self.close()

    def _open(self) -> None:
        """Take the file over: check what it is bound to, index its records, cut off what is torn."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self._path, flags, 0o666)
        if not lock_file(self._descriptor):  # somebody else makes this very output
            self.close()
            return
        if self._read(0, len(self._binding)) == self._binding:
            self._end = len(self._binding)
            self._index(os.fstat(self._descriptor).st_size)
            os.ftruncate(self._descriptor, self._end)
        else:
            os.ftruncate(self._descriptor, 0)
            self._append(self._binding)

    def _index(self, size: int) -> None:
        while self._end + _RECORD.size <= size:
            mark, chunk, row, attempt, K, t, _, _ = _RECORD.unpack(self._read(self._end, _RECORD.size))
            stop = self._end + _RECORD.size + 2 * K * t
            if mark != _MARK or stop > size:
                return
            self._found[chunk, row, attempt] = self._end
            self._end = stop

    def _read(self, start: int, size: int) -> bytes:
        os.lseek(self._descriptor, start, os.SEEK_SET)
        return os.read(self._descriptor, size)

    def _append(self, data: bytes) -> None:
        """Write `data` at the end. A short write ends the keeping: the next opening cuts it off."""
        os.lseek(self._descriptor, self._end, os.SEEK_SET)
        written = os.write(self._descriptor, data)
        self._end += written
        if written < len(data):
            self.close()


def _head(chunk: Chunk, answer: bytes) -> bytes:
    K, t = chunk.codes.shape
    asked = np.ascontiguousarray(chunk.codes, "<i2").tobytes() + repr(chunk.draw).encode()
    digest = hashlib.blake2b(asked, digest_size=8).digest()
    fields = (_MARK, chunk.index, chunk.row, chunk.attempt, K, t, digest)
    return _RECORD.pack(*fields, zlib.crc32(answer, zlib.crc32(_RECORD.pack(*fields, 0))))
