"""The chunks of a WAV file that are not samples: `bext`, `cue `, `LIST`, `iXML`, `id3 ` and all others.

They are taken over byte for byte; where the sample rate changes, positions counted in samples follow it.
No library that is a dependency copies them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dacse_cli.audio.headers import chunks_from, read_header

MAX_BYTES = 1 << 26
"""Of all chunks together: more is taken for damage."""
_OWN = {b"fmt ", b"data", b"fact", b"PEAK", b"ds64", b"JUNK", b"junk", b"PAD ", b"FLLR"}
_WRONG_AFTERWARDS = {b"levl", b"MD5 "}  # an envelope and a checksum of the old samples
_EXTENSIBLE = b"\xfe\xff"
_MASK_AT = 40
_TIME_REFERENCE = struct.Struct("<Q")
_TIME_REFERENCE_AT = 338
_CUE_POINT = struct.Struct("<II4sIII")


@dataclass(frozen=True)
class WaveExtras:
    """`chunks` as (name, content) in their order; `mask` says which speaker each channel is for."""

    chunks: tuple[tuple[bytes, bytes], ...] = ()
    mask: bytes | None = None

    def packed(self) -> bytes:
        """The chunks as they stand in a file."""
        return b"".join(
            name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2) for name, body in self.chunks
        )

    def without_mask(self) -> WaveExtras:
        """For an output with other channels."""
        return WaveExtras(self.chunks)

    def at_rate(self, source: int, target: int) -> WaveExtras:
        """With positions counted in samples of `target` instead of `source` Hz."""
        if source == target:
            return self
        moved = tuple((name, _moved(name, body, source, target)) for name, body in self.chunks)
        return WaveExtras(tuple((name, body) for name, body in moved if name != b"smpl"), self.mask)


def read_extras(path: Path) -> WaveExtras:
    """The chunks of a WAV or RF64 file; nothing for a file of another kind. Raises `OSError`."""
    with path.open("rb") as stream:
        header = read_header(stream)
        little = header is not None and header.container == "WAV" and header.little_endian
        if header is None or not little or header.data_offset is None:
            return WaveExtras()
        found = list(_named(stream, 12, header.data_offset - 8))
        if header.data_bytes is not None:
            after = header.data_offset + header.data_bytes + header.data_bytes % 2
            found += _named(stream, after, None)
        stream.seek(0)
        mask = _mask(stream.read(_MASK_AT + 4))
    if sum(len(body) for _, body in found) > MAX_BYTES:
        return WaveExtras(mask=mask)
    return WaveExtras(tuple(found), mask)


def _named(stream: BinaryIO, start: int, stop: int | None) -> Iterator[tuple[bytes, bytes]]:
    """Chunks between two offsets that are to be kept; the first that is not whole ends them."""
    kept = 0
    for name, length, offset in chunks_from(stream, start, "<4sI"):
        if (stop is not None and offset > stop) or not (name.isascii() and name.decode().isprintable()):
            return
        if name in _OWN or name in _WRONG_AFTERWARDS:
            continue
        kept += length
        if kept > MAX_BYTES:
            return
        stream.seek(offset)
        body = stream.read(length)
        if len(body) < length:
            return
        yield name, body


def _mask(head: bytes) -> bytes | None:
    is_extensible = head[12:16] == b"fmt " and head[20:22] == _EXTENSIBLE
    return head[_MASK_AT : _MASK_AT + 4] if is_extensible else None


def _moved(name: bytes, body: bytes, source: int, target: int) -> bytes:
    """A chunk's content with its positions at another rate; one that is too short stays as it is."""

    def moved(position: int) -> int:
        return round(position * target / source)

    data = bytearray(body)
    if name == b"bext" and len(body) >= _TIME_REFERENCE_AT + 8:
        (reference,) = _TIME_REFERENCE.unpack_from(data, _TIME_REFERENCE_AT)
        _TIME_REFERENCE.pack_into(data, _TIME_REFERENCE_AT, moved(reference))
    elif name == b"cue " and len(body) >= 4:
        (count,) = struct.unpack_from("<I", data)
        for at in range(4, min(4 + 24 * count, len(body) - 23), 24):
            label, position, chunk, start, block, offset = _CUE_POINT.unpack_from(data, at)
            _CUE_POINT.pack_into(data, at, label, moved(position), chunk, start, block, moved(offset))
    elif name == b"LIST" and body[:4] == b"adtl":
        at = 4
        while at + 8 <= len(body):
            part, length = struct.unpack_from("<4sI", data, at)
            if part == b"ltxt" and at + 16 <= len(body):
                (samples,) = struct.unpack_from("<I", data, at + 12)
                struct.pack_into("<I", data, at + 12, moved(samples))
            at += 8 + length + length % 2
    return bytes(data)


def settle(descriptor: int, added: int, mask: bytes | None) -> None:
    """Make the header of a finished WAV count `added` bytes more, and name the speakers by `mask`."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    head = os.read(descriptor, 96)
    if head[:4] == b"RF64":
        _patch(descriptor, 20, struct.pack("<Q", struct.unpack_from("<Q", head, 20)[0] + added))
    else:
        _patch(descriptor, 4, struct.pack("<I", struct.unpack_from("<I", head, 4)[0] + added))
    if mask is not None and _mask(head) is not None:
        _patch(descriptor, _MASK_AT, mask)


def _patch(descriptor: int, offset: int, value: bytes) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    os.write(descriptor, value)
