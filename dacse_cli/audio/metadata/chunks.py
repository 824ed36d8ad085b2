"""Metadata of WAV, AIFF, CAF, W64 and AU files: `bext`, `LIST`, `MARK`, `NAME`, `info`.

Chunks are taken over byte for byte into a file of the same family; where the sample rate changes, positions
counted in samples follow it. No library that is a dependency copies them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from dacse_cli.audio.containers.headers import Header, chunks_from, read_header
from dacse_cli.audio.metadata.positions import at_rate

MAX_BYTES = 1 << 26
"""Most bytes of all chunks together: more is treated as damage."""
_EXTENSIBLE = 0xFFFE
_FILES = {b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"caff", b"riff"}
"""How a file begins: in the place of a chunk, another recording that is joined on."""
_TEXTS = {b"id3 ", b"ID3 ", b"NAME", b"AUTH", b"ANNO", b"(c) ", b"info"}


@dataclass(frozen=True)
class Family:
    """How a container writes its chunks. `layout` packs a chunk's name and length."""

    start: int
    """Where the first chunk stands."""
    layout: str
    align: int
    own: frozenset[bytes]
    """Chunks that describe the samples or are empty: never copied."""
    outdated: frozenset[bytes] = frozenset()
    """Envelopes, peaks and checksums of the old samples."""
    size_at: int | None = None
    """Where the length of the whole file stands."""
    size_layout: str = "<I"
    counts_itself: bool = False
    """Whether a chunk's length counts its name and length."""

    @property
    def head(self) -> int:
        """Bytes of a chunk before its content."""
        return struct.calcsize(self.layout)

    def packed(self, name: bytes, body: bytes) -> bytes:
        """A chunk as it stands in a file."""
        length = len(body) + (self.head if self.counts_itself else 0)
        return struct.pack(self.layout, name, length) + body + bytes(-len(body) % self.align)


_W64_END = bytes.fromhex("f3acd3118cd100c04f8edb8a")


def _w64(*names: bytes) -> frozenset[bytes]:
    return frozenset(name + _W64_END for name in names)


_WAV = Family(
    12, "<4sI", 2,
    frozenset({b"fmt ", b"data", b"fact", b"ds64", b"JUNK", b"junk", b"PAD ", b"FLLR"}),
    frozenset({b"PEAK", b"levl", b"MD5 "}), 4,
)  # fmt: skip
FAMILIES = {
    "WAV": _WAV,
    "WAVEX": _WAV,
    "RF64": _WAV,
    "AIFF": Family(
        12, ">4sI", 2, frozenset({b"COMM", b"SSND", b"FVER"}), frozenset({b"PEAK"}), 4, ">I"
    ),
    "CAF": Family(
        8, ">4sq", 1, frozenset({b"desc", b"data", b"pakt", b"kuki", b"free"}),
        frozenset({b"peak", b"ovvw"}),
    ),
    "W64": Family(
        40, "<16sQ", 8, _w64(b"fmt ", b"data", b"fact"), _w64(b"levl"), 16, "<Q", counts_itself=True
    ),
}  # fmt: skip
"""By the container's name in `AudioInfo`. AU has no chunks, but a text between header and samples."""


@dataclass(frozen=True)
class Extras:
    """What is taken over: `chunks` as (name, content) in their order, and marks of the samples' format."""

    container: str = "WAV"
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    annotation: bytes = b""
    """AU: the text between header and samples."""
    mask: bytes | None = None
    """WAV: which speaker each channel is for."""
    valid_bits: int | None = None
    """WAV: bits of a sample that count, where they are fewer than it has."""
    lost: tuple[str, ...] = field(default=(), compare=False)
    """Names of chunks that could not be taken over."""

    def packed(self) -> bytes:
        """All of it as it stands in a file, before the samples."""
        if self.container == "AU":
            return self.annotation
        family = FAMILIES[self.container]
        return b"".join(family.packed(name, body) for name, body in self.chunks)

    def without(self, refused: Collection[int]) -> Extras:
        """Without the chunks of these numbers."""
        kept = tuple(chunk for number, chunk in enumerate(self.chunks) if number not in refused)
        lost = tuple(_text(self.chunks[number][0]) for number in sorted(refused))
        return replace(self, chunks=kept, lost=self.lost + lost)

    def for_channels(self, source: int, target: int) -> Extras:
        """For an output of `target` channels made from `source`."""
        if source == target:
            return self
        kept = tuple((name, body) for name, body in self.chunks if name != b"chan")
        return replace(self, chunks=kept, mask=None)

    def at_rate(self, source: int, target: int) -> Extras:
        """With positions counted in samples of `target` instead of `source` Hz."""
        if source == target:
            return self
        moved = [(name, at_rate(name[:4], body, source, target)) for name, body in self.chunks]
        lost = tuple(_text(name) for name, body in moved if body is None)
        return replace(self, chunks=tuple((n, b) for n, b in moved if b is not None), lost=self.lost + lost)


def read_extras(path: Path) -> Extras:
    """All chunks but the samples, of a file of one of the families; none for others. Raises `OSError`."""
    with path.open("rb") as stream:
        header = read_header(stream)
        if header is None or header.data_offset is None:
            return Extras()
        if header.container == "AU":
            stream.seek(24)
            text = stream.read(max(0, min(header.data_offset - 24, MAX_BYTES)))
            return Extras("AU", annotation=text if text.strip(b"\0") else b"")
        if not header.little_endian:
            return Extras()
        found = tuple(_kept(stream, header))
        mask, valid = _format_marks(stream, header)
    if sum(len(body) for _, body in found) > MAX_BYTES:
        return Extras(header.container, mask=mask, valid_bits=valid, lost=("chunks of more than 64 MB",))
    return Extras(header.container, found, mask=mask, valid_bits=valid)


def same_family(container: str, other: str) -> bool:
    """Whether chunks of one container can be taken over into the other."""
    if "AU" in (container, other):
        return container == other
    family = FAMILIES.get(container)
    return family is not None and family is FAMILIES.get(other)


def left_behind(extras: Extras) -> list[str]:
    """What another kind of file cannot hold: all but the texts that tags can say as well."""
    names = [_text(name) for name, body in extras.chunks if not _is_text(name, body)]
    return [*dict.fromkeys(names), *(["annotation"] if extras.annotation else []), *extras.lost]


def _is_text(name: bytes, body: bytes) -> bool:
    return name in _TEXTS or (name == b"LIST" and body[:4] == b"INFO")


def _text(name: bytes) -> str:
    return name[:4].decode("ascii", "replace").strip()


def _kept(stream: BinaryIO, header: Header) -> Iterator[tuple[bytes, bytes]]:
    """All chunks that are to be taken over; the first that is not whole ends them, as does another file."""
    family = FAMILIES[header.container]
    kept = 0
    overhead = family.head if family.counts_itself else 0
    for name, length, offset in _chunks(stream, family):
        if name[:4] in _FILES or not (name[:4].isascii() and name[:4].decode().isprintable()):
            return
        if name[:4] == b"data" or name == b"SSND":
            if not header.data_bytes:  # to the end of the file
                return
            continue
        if name in family.own or name in family.outdated:
            continue
        kept += length - overhead
        if kept > MAX_BYTES or length < overhead:
            return
        stream.seek(offset)
        body = stream.read(length - overhead)
        if len(body) < length - overhead:
            return
        yield name, body


def _chunks(stream: BinaryIO, family: Family) -> Iterator[tuple[bytes, int, int]]:
    """(name, length as it is written, offset of the content)."""
    if not family.counts_itself:
        yield from chunks_from(stream, family.start, family.layout, family.align)
        return
    at = family.start
    for _ in range(1000):
        stream.seek(at)
        head = stream.read(family.head)
        if len(head) < family.head:
            return
        name, length = struct.unpack(family.layout, head)
        yield name, length, at + family.head
        if length < family.head or length > 2**43:
            return
        at += -(-length // family.align) * family.align


def _format_marks(stream: BinaryIO, header: Header) -> tuple[bytes | None, int | None]:
    """The speaker mask, and the bits that count where they are fewer, of an extensible WAV header."""
    if header.fmt_at is None:
        return None, None
    stream.seek(header.fmt_at)
    fmt = stream.read(24)
    if len(fmt) < 24 or int.from_bytes(fmt[:2], "little") != _EXTENSIBLE:
        return None, None
    bits, valid = struct.unpack_from("<H2xH", fmt, 14)
    return fmt[20:24], valid if 0 < valid < bits else None


def settle(descriptor: int, added: int, extras: Extras) -> None:
    """Make the header of a finished file count `added` bytes more, and mark its format. Raises `OSError`."""
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        header = read_header(stream)
        if header is None:
            return
        extensible = _format_marks(stream, header)[0] is not None
    if header.container == "AU":
        _patch(descriptor, 4, struct.pack(">I", 24 + added))
        return
    family = FAMILIES[header.container]
    at, layout = family.size_at, family.size_layout
    if header.magic == b"RF64" and header.large_at is not None:
        at, layout = header.large_at, "<Q"
    if added and at is not None:
        size = struct.calcsize(layout)
        os.lseek(descriptor, at, os.SEEK_SET)
        (length,) = struct.unpack(layout, os.read(descriptor, size))
        _patch(descriptor, at, struct.pack(layout, length + added))
    if extensible and header.fmt_at is not None:
        if extras.mask is not None:
            _patch(descriptor, header.fmt_at + 20, extras.mask)
        if extras.valid_bits is not None:
            _patch(descriptor, header.fmt_at + 18, struct.pack("<H", extras.valid_bits))


def _patch(descriptor: int, offset: int, value: bytes) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    os.write(descriptor, value)
