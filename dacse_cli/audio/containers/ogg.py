"""Ogg pages: where a chained file's next recording begins, and whether the end is there (RFC 3533)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_LONGEST_PAGE = 65_307
_BLOCK = 1 << 17
_FIRST, _LAST = 2, 4


@dataclass(frozen=True)
class Page:
    """A page's place, length and marks."""

    at: int
    length: int
    flags: int
    serial: bytes

    @property
    def begins(self) -> bool:
        """Whether it is the first page of a stream."""
        return bool(self.flags & _FIRST)


def links(stream: BinaryIO, size: int, most: int) -> list[tuple[int, int]]:
    """(start, end) of the recordings in a chained file, at most `most`; all of an unchained one."""
    starts = [0]
    between = False  # whether a page other than a first page was read
    for page in _pages(stream, size):
        if page.begins and between:
            if len(starts) == most:
                return [*zip(starts, [*starts[1:], page.at], strict=True)]
            starts.append(page.at)
        between = not page.begins
    return list(zip(starts, [*starts[1:], size], strict=True))


def rate_and_channels(stream: BinaryIO, start: int) -> tuple[int, int] | None:
    """Of the Vorbis or Opus stream whose first page is at `start`; None of others."""
    stream.seek(start)
    head = stream.read(27 + 255 + 32)
    packet = head[27 + head[26] :] if len(head) > 27 else b""
    if packet[:7] == b"\x01vorbis" and len(packet) >= 16:
        return int.from_bytes(packet[12:16], "little"), packet[11]
    if packet[:8] == b"OpusHead" and len(packet) >= 10:
        return 48_000, packet[9]  # what it is decoded at
    return None


def may_be_chained(stream: BinaryIO, size: int) -> bool:
    """Whether the last page belongs to another recording than the first; reads both ends only."""
    stream.seek(0)
    first, last = _page(stream.read(27 + 255), 0), _last_page(stream, size)
    return first is not None and last is not None and first.serial != last.serial


def is_cut(stream: BinaryIO, size: int) -> bool:
    """Whether the last page is incomplete or is not marked as the last."""
    page = _last_page(stream, size)
    return page is None or page.at + page.length > size or not page.flags & _LAST


def _last_page(stream: BinaryIO, size: int) -> Page | None:
    start = max(0, size - _LONGEST_PAGE - 27)
    stream.seek(start)
    tail = stream.read()
    at = tail.rfind(b"OggS")
    return None if at < 0 else _page(tail[at : at + 27 + 255], start + at)


def _page(head: bytes, at: int) -> Page | None:
    """The page whose header `head` starts with, at `at` in the file."""
    if len(head) < 27 or head[:4] != b"OggS" or len(head) < 27 + head[26]:
        return None
    length = 27 + head[26] + sum(head[27 : 27 + head[26]])
    return Page(at, length, head[5], head[14:18])


def _pages(stream: BinaryIO, size: int) -> Iterator[Page]:
    """All pages; bytes between them that belong to none are skipped."""
    at = base = 0
    data = b""
    while at < size:
        if at + 27 + 255 > base + len(data) and base + len(data) < size:
            stream.seek(at)
            base, data = at, stream.read(_BLOCK)
            if not data:
                return
        page = _page(data[at - base : at - base + 27 + 255], at)
        if page is not None:
            yield page
            at += page.length
            continue
        ahead = data.find(b"OggS", at - base + 1)
        at = base + ahead if ahead >= 0 else max(at + 1, base + len(data) - 3)
