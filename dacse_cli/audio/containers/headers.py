"""Lengths in the headers of RIFF, W64, AIFF, AU and CAF files, which libsndfile does not report.

libsndfile silently shortens a truncated file to the data present, and believes a length of 0 (a recording
that was piped). Reading the length fields distinguishes both from a complete file. Raises nothing on damaged
headers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

_MAX_CHUNKS = 1000
_BEFORE_SAMPLES = {"WAV": 8, "W64": 24, "AIFF": 16, "CAF": 16, "AU": 0}
_MAX_OFFSET = 2**43  # 8 TiB: ext4 refuses to seek beyond 16


@dataclass(frozen=True)
class Header:
    """Facts from a container's header; None where they are not given."""

    container: str
    sample_rate: int | None = None
    channels: int | None = None
    data_offset: int | None = None
    """Where the samples start."""
    data_bytes: int | None = None
    """Bytes of samples according to the header; None for the placeholders that recorders write into pipes."""
    size_fields: tuple[int, ...] = ()
    """RIFF: offsets of the 32-bit lengths of the file and of the samples."""
    little_endian: bool = True
    magic: bytes = b""
    """The first four bytes."""
    large_at: int | None = None
    """RF64: offsets of the 64-bit lengths of the file and of the samples."""
    end: int | None = None
    """RIFF: end of the file according to its header."""
    fmt_at: int | None = None
    """RIFF: offset of the content of the format chunk."""

    @property
    def samples_chunk_at(self) -> int | None:
        """Where the chunk of the samples begins, with its name and length."""
        return None if self.data_offset is None else self.data_offset - _BEFORE_SAMPLES[self.container]


def read_header(stream: BinaryIO) -> Header | None:
    """The header of a RIFF, W64, AIFF, AU or CAF file, else None. Leaves the position anywhere."""
    stream.seek(0)
    head = stream.read(32)
    try:
        if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
            return _riff(stream, head)
        if head[:4] == b"riff":
            return _wave64(stream)
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return _aiff(stream)
        if head[:4] in (b".snd", b"dns."):
            return _au(head)
        if head[:4] == b"caff":
            return _caf(stream)
    except struct.error:  # the file ends inside its header
        pass
    return None


def chunks_from(
    stream: BinaryIO, start: int, layout: str, align: int = 2
) -> Iterator[tuple[bytes, int, int]]:
    """(name, bytes, offset of the content) of each chunk; `layout` packs the name and the length."""
    size, at = struct.calcsize(layout), start
    for _ in range(_MAX_CHUNKS):
        head = _bytes_at(stream, at, size)
        if len(head) < size:
            return
        name, length = struct.unpack(layout, head)
        yield name, length, at + size
        if length < 0:
            return
        at += size + -(-length // align) * align


def _bytes_at(stream: BinaryIO, offset: int, count: int) -> bytes:
    """`count` bytes, fewer at the end of the file, none where a damaged length leads past any file."""
    if offset > _MAX_OFFSET:
        return b""
    stream.seek(offset)
    return stream.read(count)


def _known_length(length: int) -> int | None:
    """None for the lengths that mean "until the end": ffmpeg's 2**32 - 1, sox's and arecord's near 2**31."""
    until_the_end = 0x7FFF0000 <= length <= 0x80000000 or length >= 0xFFFF0000
    return None if until_the_end else length


def _riff(stream: BinaryIO, head: bytes) -> Header:
    little = head[:4] != b"RIFX"
    order = "<" if little else ">"
    (length,) = struct.unpack(f"{order}I", head[4:8])
    end = 8 + length + length % 2 if _known_length(length) else None
    found = Header("WAV", little_endian=little, magic=head[:4], end=end)
    large = None
    for name, length, offset in chunks_from(stream, 12, f"{order}4sI"):
        if name == b"fmt ":
            channels, rate = struct.unpack(f"{order}2xHI", stream.read(8))
            found = replace(found, sample_rate=rate, channels=channels, fmt_at=offset)
        elif name == b"ds64":
            found = replace(found, large_at=offset)
            (large,) = struct.unpack("<8xQ", stream.read(16))
        elif name == b"data":
            is_large = large is not None and length == 0xFFFFFFFF
            promised = large if is_large else _known_length(length)
            return replace(found, data_offset=offset, data_bytes=promised, size_fields=(4, offset - 4))
    return found


def _wave64(stream: BinaryIO) -> Header:
    # names are 16-byte GUIDs; a length counts its own 24 bytes of name and length
    rate = channels = None
    at = 40
    for _ in range(_MAX_CHUNKS):
        name, length = struct.unpack("<4s12xQ", _bytes_at(stream, at, 24))
        if name == b"fmt ":
            channels, rate = struct.unpack("<2xHI", stream.read(8))
        if name == b"data":
            return Header("W64", rate, channels, at + 24, length - 24)
        at += max(24, -(-length // 8) * 8)
    return Header("W64", rate, channels)


def _aiff(stream: BinaryIO) -> Header:
    channels = None
    for name, length, offset in chunks_from(stream, 12, ">4sI"):
        if name == b"COMM":
            (channels,) = struct.unpack(">H", stream.read(2))
        elif name == b"SSND":
            return Header("AIFF", None, channels, offset + 8, _known_length(length - 8))
    return Header("AIFF", None, channels)


def _au(head: bytes) -> Header:
    little = head[:4] == b"dns."
    offset, length, _, rate, channels = struct.unpack(f"{'<' if little else '>'}4x5I", head[:24])
    return Header("AU", rate, channels, offset, _known_length(length))


def _caf(stream: BinaryIO) -> Header:
    rate = channels = None
    for name, length, offset in chunks_from(stream, 8, ">4sq", align=1):
        if name == b"desc":
            hertz, channels = struct.unpack(">d16xI", stream.read(28))
            rate = int(hertz) if 0 <= hertz < 2**32 else 0
        elif name == b"data":
            return Header("CAF", rate, channels, offset + 4, None if length < 0 else length - 4)
    return Header("CAF", rate, channels)


def only_chunks(stream: BinaryIO, start: int, size: int, *, little_endian: bool) -> bool:
    """Whether a RIFF file of `size` bytes holds other chunks from `start` to its end, and no samples."""
    order = "<" if little_endian else ">"
    end = start
    for name, length, offset in chunks_from(stream, start, f"{order}4sI"):
        if not (name.isascii() and name.decode("ascii").isprintable()) or offset + length > size:
            return False
        end = offset + length
    return size - end <= 1  # a last chunk of odd length may lack its padding
