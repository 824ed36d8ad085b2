"""What a file's own header says about its length, which libsndfile does not pass on.

libsndfile shortens a cut file to what is there without a word, and takes a length of 0 (a recording that
was piped) at its word. Reading the few bytes that hold the length tells the two apart from a whole file.
Only looks at bytes: opens nothing, decodes nothing, raises nothing on damaged headers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MAX_CHUNKS = 1000
_MAX_OFFSET = 2**43  # 8 TiB: ext4 refuses to seek beyond 16
_OGG_TAIL = 65_307 + 27  # the longest page there is, and the start of another
_MP3_HEAD = 4096

_UNREADABLE = (
    (4, b"ftyp", "MP4 (AAC or ALAC)"),
    (0, bytes.fromhex("3026b2758e66cf11"), "Windows Media (WMA)"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"ADIF", "AAC"),
    (0, b"#!AMR", "AMR"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"wvpk", "WavPack"),
    (0, b"TTA1", "True Audio"),
    (0, b"DSD ", "DSD"),
    (0, b"FRM8", "DSD"),
    (0, b"MThd", "MIDI"),
    (28, b"Speex   ", "Speex"),
    (8, b"AVI ", "AVI video"),
)
_KNOWN = ((b"fLaC", "FLAC"), (b"OggS", "OGG"), (b"ID3", "MP3"))


@dataclass(frozen=True)
class Header:
    """The facts of a container's header; None where it does not say."""

    container: str
    sample_rate: int | None = None
    channels: int | None = None
    data_offset: int | None = None
    """Where the samples start."""
    data_bytes: int | None = None
    """Bytes of samples promised; None for the marks that recorders write into a pipe."""
    size_fields: tuple[int, ...] = ()
    """RIFF: where the 32-bit lengths of the file and of the samples stand."""
    little_endian: bool = True


def unreadable_kind(head: bytes) -> str | None:
    """The name of a format that libsndfile does not read, from a file's first 36 bytes."""
    return next((name for at, magic, name in _UNREADABLE if head[at : at + len(magic)] == magic), None)


def read_header(stream: BinaryIO) -> Header | None:
    """The header of a RIFF, W64, AIFF, AU or CAF file, the bare name for FLAC, Ogg and MP3, else None."""
    stream.seek(0)
    head = stream.read(32)
    try:
        if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
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
        return None
    return next((Header(name) for magic, name in _KNOWN if head.startswith(magic)), None)


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
    rate = channels = large = None
    for name, length, offset in chunks_from(stream, 12, f"{order}4sI"):
        if name == b"fmt ":
            channels, rate = struct.unpack(f"{order}2xHI", stream.read(8))
        elif name == b"ds64":
            (large,) = struct.unpack("<8xQ", stream.read(16))
        elif name == b"data":
            is_large = large is not None and length == 0xFFFFFFFF
            promised = large if is_large else _known_length(length)
            return Header("WAV", rate, channels, offset, promised, (4, offset - 4), little)
    return Header("WAV", rate, channels)


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


def is_empty_data(stream: BinaryIO, data_offset: int, size: int, *, little_endian: bool) -> bool:
    """Whether what follows a RIFF data chunk of length 0 is other chunks, not the samples of a pipe."""
    order = "<" if little_endian else ">"
    end = data_offset
    for name, length, offset in chunks_from(stream, data_offset, f"{order}4sI"):
        if not (name.isascii() and name.decode("ascii").isprintable()) or offset + length > size:
            return False
        end = offset + length
    return size - end <= 1  # a last chunk of odd length may lack its padding


def ogg_is_cut(stream: BinaryIO, size: int) -> bool:
    """Whether the last page of an Ogg file is incomplete or is not marked as the last."""
    start = max(0, size - _OGG_TAIL)
    stream.seek(start)
    tail = stream.read()
    at = tail.rfind(b"OggS")
    page = tail[at:] if at >= 0 else b""
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    segments = page[27 : 27 + page[26]]
    return not page[5] & 4 or len(page) < 27 + len(segments) + sum(segments)


def mp3_counts_frames(stream: BinaryIO) -> bool:
    """Whether an MP3 starts with a Xing, Info or VBRI header that counts its frames.

    Without one libsndfile guesses the length from the first bit rate and stops there: half of a recording
    with a variable bit rate can be lost.
    """
    stream.seek(0)
    head = stream.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    stream.seek(start)
    first = stream.read(_MP3_HEAD)
    for mark in (b"Xing", b"Info"):
        at = first.find(mark)
        if at >= 0 and len(first) >= at + 8:
            return bool(first[at + 7] & 1)
    return b"VBRI" in first
