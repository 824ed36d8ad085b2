"""FLAC as frames: their number of samples, their rate, and where another file is appended.

STREAMINFO may count too few samples or none, a file may be cut, and decoders report none of this. Every frame
has a number and a checksum of its header (RFC 9639, section 9.1), so frames can be followed without decoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

_BLOCK = 1 << 20
_TAIL = 1 << 20
_LONGEST_HEADER = 16
_MARK = b"fLaC"
_SYNC = re.compile(rb"(?=\xff[\xf8\xf9]|fLaC\x00\x00\x00\x22|fLaC\x80\x00\x00\x22)", re.DOTALL)
_RATES = (0, 88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
_SIZES = {1: 192, **{n: 576 << (n - 2) for n in range(2, 6)}, **{n: 256 << (n - 8) for n in range(8, 16)}}


@dataclass(frozen=True)
class StreamInfo:
    """The STREAMINFO block. `total` is 0 where it is not given; `total_at` is the offset of its 5 bytes."""

    start: int
    """Offset of this FLAC file within the examined file."""
    frames_at: int
    block: int
    """Samples of every frame but the last, if the block size is fixed."""
    rate: int
    channels: int
    total: int
    total_at: int

    def counted(self, data: bytes, samples: int) -> bytes:
        """The 5 bytes at `total_at`, now `data`, with another total."""
        return bytes([data[0] & 0xF0 | samples >> 32 & 0x0F]) + (samples & 0xFFFFFFFF).to_bytes(4, "big")


@dataclass
class Stretch:
    """One of the concatenated FLAC files. `samples` is the total of its frames, `end` its end offset."""

    info: StreamInfo
    end: int
    samples: int = 0
    rates: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class _Frame:
    size: int
    """Samples."""
    number: int
    fixed: bool
    rate: int
    """0 where STREAMINFO gives it."""

    def follows(self, other: _Frame | None, info: StreamInfo) -> bool:
        """Whether this is the frame after `other`, or the first one."""
        if other is None:
            return self.number == 0
        return self.fixed == other.fixed and self.number == other.number + (1 if self.fixed else other.size)

    def end(self, info: StreamInfo) -> int:
        """Samples up to its end."""
        return (self.number * info.block if self.fixed else self.number) + self.size


def stream_info(stream: BinaryIO, start: int) -> StreamInfo | None:
    """The summary of the FLAC file that begins at `start`; None where it is damaged."""
    stream.seek(start)
    head = stream.read(42)
    if len(head) < 42 or head[:4] != _MARK or head[4] & 0x7F != 0 or head[5:8] != b"\0\0\x22":
        return None
    packed = int.from_bytes(head[18:26], "big")
    at, last = start + 4, False
    while not last:
        stream.seek(at)
        block = stream.read(4)
        if len(block) < 4:
            return None
        last = bool(block[0] & 0x80)
        at += 4 + int.from_bytes(block[1:], "big")
    return StreamInfo(
        start=start,
        frames_at=at,
        block=int.from_bytes(head[8:10], "big"),
        rate=packed >> 44,
        channels=(packed >> 41 & 7) + 1,
        total=packed & 0xFFFFFFFFF,
        total_at=start + 21,
    )


def samples_by_tail(stream: BinaryIO, info: StreamInfo, size: int) -> int | None:
    """Samples up to the last frame of a file of `size` bytes, from its end alone; None if there is none."""
    start = max(info.frames_at, size - _TAIL)
    last: _Frame | None = None
    for frame, _ in _chained(_candidates(stream, start, size), info, anywhere=start > info.frames_at):
        last = frame
    return None if last is None else last.end(info)


def stretches(stream: BinaryIO, start: int, size: int, most: int) -> list[Stretch]:
    """The FLAC files from `start` on, one after the other, at most `most`; every frame header is read."""
    found: list[Stretch] = []
    at: int | None = start
    while at is not None and len(found) < most:
        info = stream_info(stream, at)
        if info is None:
            break
        stretch, at = _followed(stream, info, size)
        found.append(stretch)
    return found


def _followed(stream: BinaryIO, info: StreamInfo, size: int) -> tuple[Stretch, int | None]:
    """The frames of one file, and where the next file begins."""
    stretch = Stretch(info, size)
    candidates = _candidates(stream, info.frames_at, size)
    for frame, at in _chained(candidates, info, anywhere=False):
        if frame is None:
            if stream_info(stream, at) is None:
                continue
            stretch.end = at
            return stretch, at
        stretch.samples = frame.end(info)
        stretch.rates.add(frame.rate or info.rate)
    return stretch, None


def _chained(
    candidates: Iterator[tuple[_Frame | None, int]], info: StreamInfo, *, anywhere: bool
) -> Iterator[tuple[_Frame | None, int]]:
    """The candidates that form a sequence; None marks the start of another file.

    Bytes of samples can look like a header by chance, but hardly one with the right frame number. `anywhere`:
    the search starts within the file, so two consecutive frames are needed to begin.
    """
    last: _Frame | None = None
    doubtful: list[tuple[_Frame, int]] = []
    for frame, at in candidates:
        if frame is None:
            yield None, at
        elif last is not None or not anywhere:
            if frame.follows(last, info):
                last = frame
                yield frame, at
        else:
            if any(frame.follows(other, info) for other, _ in doubtful):
                last = frame
                yield frame, at
            doubtful.append((frame, at))


def _candidates(stream: BinaryIO, start: int, size: int) -> Iterator[tuple[_Frame | None, int]]:
    """Candidates for frame headers, and None at possible starts of another file."""
    at = start
    rest = b""
    while at < size:
        stream.seek(at)
        block = stream.read(min(_BLOCK, size - at))
        if not block:
            return
        data = rest + block
        base = at - len(rest)
        at += len(block)
        usable = len(data) if at >= size else len(data) - _LONGEST_HEADER
        for match in _SYNC.finditer(data):
            place = match.start()
            if place >= usable:
                break
            if data.startswith(_MARK, place):
                yield None, base + place
            elif (frame := _frame(data[place : place + _LONGEST_HEADER])) is not None:
                yield frame, base + place
        rest = data[usable:]


def _frame(head: bytes) -> _Frame | None:
    """The frame header that `head` starts with, if its checksum is right."""
    if len(head) < 6 or head[3] & 1 or head[3] >> 4 > 10 or head[2] >> 4 == 0 or head[2] & 15 == 15:
        return None
    number, at = _coded_number(head, 4)
    if number is None:
        return None
    size_code, rate_code = head[2] >> 4, head[2] & 15
    size = _SIZES.get(size_code, 0)
    if size_code in (6, 7):
        size, at = int.from_bytes(head[at : at + size_code - 5], "big") + 1, at + size_code - 5
    rate = _RATES[rate_code] if rate_code < 12 else 0
    if rate_code >= 12:
        width = 1 if rate_code == 12 else 2
        rate = int.from_bytes(head[at : at + width], "big") * {12: 1000, 13: 1, 14: 10}[rate_code]
        at += width
    if at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    return _Frame(size, number, head[1] == 0xF8, rate)


def _coded_number(head: bytes, at: int) -> tuple[int | None, int]:
    """A number coded like a character of UTF-8, of up to 36 bits, and where it ends."""
    first = head[at]
    if first < 0x80:
        return first, at + 1
    length = 8 - (first ^ 0xFF).bit_length()
    if not 2 <= length <= 7 or len(head) < at + length:
        return None, at
    number = first & ((1 << (7 - length)) - 1)
    for byte in head[at + 1 : at + length]:
        if byte & 0xC0 != 0x80:
            return None, at
        number = number << 6 | byte & 0x3F
    return number, at + length


def _table() -> tuple[int, ...]:
    values = []
    for value in range(256):
        for _ in range(8):
            value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
        values.append(value)
    return tuple(values)


_CRC8 = _table()


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value = _CRC8[value ^ byte]
    return value
