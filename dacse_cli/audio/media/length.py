"""Length of a track by its container's header, and by the size of the file. Decodes nothing."""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil
from typing import Any, BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from dacse_cli.audio.containers.kinds import MATROSKA, MP4, OGG_FLAC, WAVPACK, WMA, Kind

_CLOCK = re.compile(r"(\d{1,5}):([0-5]\d):([0-5]\d(?:\.\d{1,9})?)")
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def declared_end(kind: Kind, track: AudioStream, rate: int) -> int | None:
    """Samples up to the end that an MP4 declares, to the sample where it counts time in samples."""
    duration, base = track.duration, track.time_base
    if kind is not MP4 or not duration or base is None:
        return None
    return ceil(Fraction(int(duration)) * Fraction(base) * rate)


def declared_seconds(kind: Kind, container: InputContainer, track: AudioStream) -> Fraction | None:
    """Length of the track by a header that does not guess it; None where there is no such number."""
    clock = _CLOCK.fullmatch(track.metadata.get("DURATION", ""))
    if kind is MATROSKA and clock is not None:
        hours, minutes, seconds = clock.groups()
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    if kind not in (MATROSKA, WMA, WAVPACK, OGG_FLAC) or not container.duration:
        return None
    if len(container.streams) > 1:  # the longest of all tracks
        return None
    return Fraction(container.duration, av.time_base)


def share_there(kind: Kind, track: AudioStream, stream: BinaryIO, size: int) -> Fraction:
    """Share of the track within the `size` bytes of its file: 1 for a complete file."""
    if kind is MATROSKA:
        end = segment_end(stream)
        return Fraction(size, end) if end is not None and end > size else Fraction(1)
    if kind is MP4:
        return _indexed_share(track, size)
    return Fraction(1)


def segment_end(stream: BinaryIO) -> int | None:
    """End of a Matroska file according to its header; None where it is not given, as in a live recording."""
    stream.seek(0)
    head = stream.read(4096)
    if not head.startswith(_EBML):
        return None
    size, at = _vint(head, 4)
    if size is None or head[at + size : at + size + 4] != _SEGMENT:
        return None
    length, start = _vint(head, at + size + 4)
    return None if length is None else start + length


def _vint(data: bytes, at: int) -> tuple[int | None, int]:
    """A number of EBML and where it ends; None for the mark that means unknown."""
    if at >= len(data) or not data[at]:
        return None, at
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big") & (1 << 7 * width) - 1
    return (None if value == (1 << 7 * width) - 1 or at + width > len(data) else value), at + width


def _indexed_share(track: AudioStream, size: int) -> Fraction:
    """The share of packets in an MP4's table that lie within the file."""
    entries: Any = track.index_entries
    count = len(entries)
    if not count or entries[count - 1].pos + entries[count - 1].size <= size:
        return Fraction(1)
    low, high = 0, count  # packets lie in the file in their order
    while low < high:
        middle = (low + high) // 2
        entry = entries[middle]
        low, high = (middle + 1, high) if entry.pos + entry.size <= size else (low, middle)
    return Fraction(low, count)
