"""MPEG audio (MP3 and its relatives) as frames: their positions, number, and the starts of recordings.

An MP3 has no container. Its length is a guess from the first bit rate, or a count in a Xing, Info or VBRI
header, which is wrong where files were joined, cut or tagged. Here the frames themselves are counted.
ISO/IEC 11172-3, 13818-3; layers I to III, MPEG 1, 2 and 2.5; no free-format streams.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import BinaryIO

_BLOCK = 1 << 20
_HEADER = 4
_SEARCH = 1 << 16
"""Bytes within which two consecutive frames must lie to resynchronise."""
_SYNC = re.compile(rb"(?=\xff[\xe2-\xff][\x10-\xef])", re.DOTALL)
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KILOBITS = {
    (1, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""(MPEG version, 3 - layer + 1) -> kbit/s by index 1 to 14; MPEG 2 uses layer II's for layer III."""


@dataclass(frozen=True)
class Frame:
    """The contents of a 4-byte frame header."""

    size: int
    samples: int
    rate: int
    channels: int
    side_info: int
    """Bytes between the frame header and a Xing header; 0 for layers I and II, which have none."""

    @property
    def stream(self) -> tuple[int, int, int]:
        """The properties that are constant within a recording."""
        return self.samples, self.rate, self.channels


@dataclass
class Stretch:
    """Consecutive frames of one recording."""

    first: Frame
    start: int
    ranges: list[tuple[int, int]] = field(default_factory=list)
    """Byte ranges of the file that hold frames."""
    frames: int = 0
    """Number of frames without a header frame that holds counts."""
    counts: Counts | None = None

    @property
    def samples(self) -> int:
        """Samples per channel, with those that an encoder's delay adds."""
        return self.frames * self.first.samples


@dataclass(frozen=True)
class Counts:
    """A Xing or Info header. Places are offsets in the file; None where a number is missing."""

    frames: int | None
    bytes: int | None
    frames_at: int | None
    bytes_at: int | None


def id3_size(head: bytes) -> int:
    """Bytes of the ID3v2 tag that `head` starts with; 0 where it starts with none."""
    if len(head) < 10 or head[:3] != b"ID3" or any(byte & 0x80 for byte in head[6:10]):
        return 0
    size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    return 10 + size + (10 if head[5] & 0x10 else 0)


def frame(head: bytes) -> Frame | None:
    """The frame whose header `head` starts with, or None."""
    if len(head) < _HEADER or head[0] != 0xFF:
        return None
    return _table(head[1], head[2], head[3] >> 6 == 3)


@cache
def _table(second: int, third: int, mono: bool) -> Frame | None:
    version, layer, bit_rate, rate = second >> 3 & 3, second >> 1 & 3, third >> 4, third >> 2 & 3
    if second & 0xE0 != 0xE0 or version == 1 or layer == 0 or bit_rate in (0, 15) or rate == 3:
        return None
    hertz = _RATES[version][rate]
    family = (1 if version == 3 else 2, layer if version == 3 else max(layer, 2))
    bits = 1000 * _KILOBITS[family][bit_rate - 1]
    padding = third >> 1 & 1
    channels = 1 if mono else 2
    if layer == 3:
        return Frame((12 * bits // hertz + padding) * 4, 384, hertz, channels, 0)
    samples = 576 if layer == 1 and version != 3 else 1152
    size = samples // 8 * bits // hertz + padding
    side = 0 if layer != 1 else (17 if mono else 32) if version == 3 else 9 if mono else 17
    return Frame(size, samples, hertz, channels, side)


def first_frame(data: bytes, start: int = 0) -> int | None:
    """Position in `data` of the first two consecutive frames of one recording, from `start` on."""
    for match in _SYNC.finditer(data, start):
        at = match.start()
        if frame(data[at : at + _HEADER]) is not None and _goes_on(data, at):
            return at
    return None


def counts_in(stream: BinaryIO, at: int, first: Frame) -> Counts | None:
    """The Xing or Info header in the frame at `at`, if it is one."""
    stream.seek(at)
    return _counts(stream.read(min(first.size, 256)), at, first)


def _counts(data: bytes, at: int, first: Frame) -> Counts | None:
    place = _HEADER + first.side_info
    if not first.side_info or data[place : place + 4] not in (b"Xing", b"Info") or len(data) < place + 8:
        return None
    flags = data[place + 7]
    numbers: list[tuple[int | None, int | None]] = []
    place += 8
    for flag in (1, 2):
        if flags & flag and len(data) >= place + 4:
            numbers.append((int.from_bytes(data[place : place + 4], "big"), at + place))
            place += 4
        else:
            numbers.append((None, None))
    (frames, frames_at), (size, bytes_at) = numbers
    return Counts(frames, size, frames_at, bytes_at)


def stretches(stream: BinaryIO, start: int, size: int, most: int) -> list[Stretch]:
    """The recordings from `start` on in a file of `size` bytes, at most `most` of them.

    A new one begins at a new Xing or Info header, and where rate or channels change permanently.
    """
    found: list[Stretch] = []
    for at, here, counts in _frames(stream, start, size):
        current = found[-1] if found else None
        if current is None or counts is not None or here.stream != current.first.stream:
            if len(found) == most:
                break
            current = Stretch(here, at, counts=counts)
            found.append(current)
        current.frames += counts is None
        end = min(at + here.size, size)
        if current.ranges and current.ranges[-1][1] == at:
            current.ranges[-1] = (current.ranges[-1][0], end)
        else:
            current.ranges.append((at, end))
    return [one for one in found if one.frames]


def _frames(stream: BinaryIO, start: int, size: int) -> Iterator[tuple[int, Frame, Counts | None]]:
    """Every frame: its place, its header, and the counts in it if it holds no sound but them."""
    base, data = start, b""
    at = start
    known: Frame | None = None
    while True:
        if at + 3 * 2048 > base + len(data) and base + len(data) < size:
            stream.seek(at)
            base, data = at, stream.read(max(_BLOCK, _SEARCH))
            if not data:
                return
        place = at - base
        here = frame(data[place : place + _HEADER])
        if here is None or (known is not None and here.stream != known.stream and not _goes_on(data, place)):
            ahead = _found_again(data, place, known)
            if ahead is None:
                if base + len(data) >= size:
                    return
                at = max(at + 1, base + len(data) - _HEADER)
                known = None
                continue
            at = base + ahead
            known = None
            continue
        counts = _counts(data[place : place + 256], at, here)
        if counts is None and data[place + 36 : place + 40] == b"VBRI":
            counts = Counts(None, None, None, None)
        yield at, here, counts
        known = here
        at += here.size


def _goes_on(data: bytes, place: int) -> bool:
    """Whether another frame of the same recording follows the one at `place`, or the end of the file."""
    here = frame(data[place : place + _HEADER])
    assert here is not None
    behind = frame(data[place + here.size : place + here.size + _HEADER])
    return behind is not None and behind.stream == here.stream


def _found_again(data: bytes, place: int, known: Frame | None) -> int | None:
    """Where frames continue after other bytes: an ID3 tag between recordings, or junk."""
    tag = id3_size(data[place : place + 10])
    at = first_frame(data, place + tag if tag and place + tag < len(data) else place + 1)
    return None if at is None else at
