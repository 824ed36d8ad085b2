"""Generated chunks of an input, stored on disk so that the next run can use them.

One file per input: a line of JSON that lists what the chunks depend on, then one record per chunk and
attempt, appended with one write when the chunk is generated. Records are validated: if the first line
differs, the file is emptied; an incomplete end is cut off; and a record is used only for the input units it
was generated from. So damage to the file only means translating chunks again. Records are not synced: a kill
cannot lose them, and a power cut costs a few chunks.
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
from typing import Any

import numpy as np

from dacse_cli.errors import OutputError
from dacse_cli.files.locks import lock
from dacse_cli.files.regular import open_own
from dacse_cli.interfaces import Units
from dacse_cli.pipeline.record.place import make_own_folder
from dacse_cli.pipeline.task.task import Chunk

_RECORD = struct.Struct("<4sIIIII8sI")
"""Mark, chunk, row, attempt, bytes of the output, its width, digest of the input, checksum of head and
output."""
_MARK = b"\x89chk"
_TYPES = {"i": "<i2", "f": "<f4"}
"""Kind of units -> how they are stored."""


class ChunkCache:
    """The chunks of one input under one binding. After a disk error nothing more is stored."""

    def __init__(self, path: Path, bound_to: Mapping[str, Any]) -> None:
        self._path = path
        self._binding = json.dumps(bound_to, sort_keys=True).encode() + b"\n"
        self._found: dict[tuple[int, int, int], tuple[int, int]] = {}
        """(chunk, row, attempt) -> where the record starts, and its bytes."""
        self._end = 0
        self._descriptor = -1
        self._ended = False
        if path.exists():
            self._guarded(self._open)

    def recall(self, chunk: Chunk) -> Units | None:
        """The output `[U, t]` of a chunk, if it was stored for the same units and is undamaged."""
        key = (chunk.index, chunk.row, chunk.attempt)
        if key not in self._found or self._descriptor < 0:
            return None
        data = b""
        with contextlib.suppress(OSError):
            data = self._read(*self._found[key])
        output = data[_RECORD.size :]
        # the header is determined by input and output: it must equal the one that would be written
        if len(output) != len(_stored(chunk.units)) or data[: _RECORD.size] != _head(chunk, output):
            return None
        stored = np.frombuffer(output, _TYPES[chunk.units.dtype.kind])
        return stored.astype(chunk.units.dtype).reshape(chunk.units.shape)

    def keep(self, chunk: Chunk, units: Units) -> None:
        """Append the output `[U, t]` of a chunk."""
        if self._descriptor < 0 and not self._ended:
            self._guarded(self._open)
        if not self._ended:
            data = _stored(units)
            self._guarded(lambda: self._append(_head(chunk, data) + data))

    def close(self) -> None:
        """Close the file without deleting it."""
        self._ended = True
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (OSError, OutputError):
            self.close()

    def _open(self) -> None:
        """Open the file: check what it depends on, index its records, cut off an incomplete end."""
        make_own_folder(self._path.parents[2])
        self._path.parent.mkdir(exist_ok=True)
        self._descriptor = open_own(self._path, os.O_RDWR | os.O_CREAT)
        if not lock(self._descriptor):  # another process is processing the same input
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
            mark, chunk, row, attempt, length, _, _, _ = _RECORD.unpack(self._read(self._end, _RECORD.size))
            stop = self._end + _RECORD.size + length
            if mark != _MARK or stop > size:
                return
            self._found[chunk, row, attempt] = (self._end, stop - self._end)
            self._end = stop

    def _read(self, start: int, size: int) -> bytes:
        os.lseek(self._descriptor, start, os.SEEK_SET)
        return os.read(self._descriptor, size)

    def _append(self, data: bytes) -> None:
        """Append `data`. After a short write nothing more is stored; the next opening cuts it off."""
        os.lseek(self._descriptor, self._end, os.SEEK_SET)
        written = os.write(self._descriptor, data)
        self._end += written
        if written < len(data):
            self.close()


def _stored(units: Units) -> bytes:
    return np.ascontiguousarray(units, _TYPES[units.dtype.kind]).tobytes()


def _head(chunk: Chunk, output: bytes) -> bytes:
    asked = _stored(chunk.units) + repr(chunk.draw).encode()
    digest = hashlib.blake2b(asked, digest_size=8).digest()
    fields = (_MARK, chunk.index, chunk.row, chunk.attempt, len(output), len(chunk.units), digest)
    return _RECORD.pack(*fields, zlib.crc32(output, zlib.crc32(_RECORD.pack(*fields, 0))))
