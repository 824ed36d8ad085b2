"""From an open file to the recordings in it, one after the other, each as libsndfile should see it.

Files are concatenated by `cat`, by web radio recorders and by speech services; decoders stop at the end of
the first one. Headers that count too few samples are corrected in the stream that the decoder reads, never on
disk.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from dacse_cli.audio.containers import flac, kinds, mpeg, ogg
from dacse_cli.audio.containers.headers import Header, only_chunks, read_header
from dacse_cli.audio.containers.kinds import Found

MOST_PARTS = 10_000
"""Most recordings in one file; later ones are not read."""
_WORTH_A_NOTE = 8192
"""Number of bytes after the samples of a WAV file that causes a note."""
_TOLERATED_FRAMES = 2
"""Frames by which an MP3's count may be too high: some encoders count the header frame, too."""
_HEAD = 1 << 16
"""Bytes in which the header of a joined WAV file is looked for."""
_CLOSE = 0.02
"""Share by which the bytes that a Xing header counts may differ from those there: tags lie between."""
_CLOSE_ENOUGH = 0.005
"""The same, but so that libmpg123 prints no warning on standard error."""


@dataclass(frozen=True)
class Part:
    """One recording: byte ranges of the file, bytes to be replaced in them, what is known of its length."""

    ranges: tuple[tuple[int, int], ...]
    patches: tuple[tuple[int, bytes], ...] = ()
    samples: int | None = None
    """Samples per channel; None where only the decoder can tell."""
    guessed: bool = False
    """Whether the decoder would guess the length and stop there."""


@dataclass(frozen=True)
class Layout:
    """All parts, and a note about the file (one line or None)."""

    parts: tuple[Part, ...]
    note: str | None = None
    promised: int | None = None
    """Samples per channel according to the file; None where that equals the content."""
    whole: bool = False
    """Whether the only part is the file as it is."""


def layout(stream: BinaryIO, found: Found | None, size: int, *, thorough: bool) -> Layout:
    """The contents of a file of `size` bytes. `thorough` examines all of it, else only both ends.

    Leaves the position anywhere. Raises `OSError`.
    """
    make = _BY_KIND.get(found.kind.name) if found is not None else None
    if found is None or make is None:
        return Layout((Part(((0, size),)),), whole=True)
    return make(stream, found.start, size, thorough)


def _mpeg(stream: BinaryIO, start: int, size: int, thorough: bool) -> Layout:
    stream.seek(start)
    head = stream.read(4)
    first = mpeg.frame(head)
    counts = None if first is None else mpeg.counts_in(stream, start, first)
    there = size - start
    if not thorough and counts and counts.frames and abs(there - (counts.bytes or 0)) < _CLOSE * size:
        return Layout((Part(((start, size),)),), whole=start == 0 or _is_tag(stream))
    found = mpeg.stretches(stream, start, size, MOST_PARTS)
    if not found:
        return Layout((Part(((0, size),)),), whole=True)
    missing = counts.frames - found[0].frames if counts is not None and counts.frames else 0
    promised = None
    if len(found) == 1 and missing > _TOLERATED_FRAMES:
        promised = found[0].samples + missing * found[0].first.samples
    note = _changes([(one.first.rate, one.first.channels) for one in found])
    parts = tuple(_mpeg_part(one, size) for one in found)
    # libsndfile finds its way past a tag, and reads a plain file faster than a view of it
    plain = len(parts) == 1 and not parts[0].patches and not parts[0].guessed and found[0].start == start
    return Layout(parts, note, promised, whole=plain and (start == 0 or _is_tag(stream)))


def _is_tag(stream: BinaryIO) -> bool:
    stream.seek(0)
    return stream.read(3) == b"ID3"


def _mpeg_part(one: mpeg.Stretch, size: int) -> Part:
    """A part whose header, if it has one, is corrected to the actual count."""
    counts = one.counts
    if counts is None or not counts.frames or counts.frames_at is None:
        return Part(tuple(one.ranges), samples=one.samples, guessed=True)
    length = sum(end - start for start, end in one.ranges)
    close = counts.bytes is None or all(
        abs(counts.bytes - other) < _CLOSE_ENOUGH * length for other in (length, size - one.start)
    )
    if counts.frames == one.frames and close and len(one.ranges) == 1:
        return Part(tuple(one.ranges))
    patches = [(counts.frames_at, one.frames.to_bytes(4, "big"))]
    if counts.bytes_at is not None:
        patches.append((counts.bytes_at, min(length, 2**32 - 1).to_bytes(4, "big")))
    return Part(tuple(one.ranges), tuple(patches))


def _ogg(stream: BinaryIO, start: int, size: int, thorough: bool) -> Layout:
    if not thorough and not ogg.may_be_chained(stream, size):
        return Layout((Part(((0, size),)),), whole=True)
    found = ogg.links(stream, size, MOST_PARTS)
    heard = [ogg.rate_and_channels(stream, start) for start, _ in found]
    note = _changes([one for one in heard if one is not None])
    return Layout(tuple(Part((link,)) for link in found), note, whole=len(found) == 1)


def _flac(stream: BinaryIO, start: int, size: int, thorough: bool) -> Layout:
    info = flac.stream_info(stream, start)
    if info is None:
        return Layout((Part(((0, size),)),), whole=True)
    there = None if thorough else flac.samples_by_tail(stream, info, size)
    if there is not None and there == info.total:
        return Layout((Part(((0, size),), samples=there),), whole=True)
    found = flac.stretches(stream, start, size, MOST_PARTS)
    parts = tuple(_flac_part(stream, one) for one in found)
    rates = sorted(set().union(*(one.rates for one in found)))
    note = None
    if any(len(one.rates) > 1 or one.rates - {one.info.rate} for one in found):
        listed = ", ".join(map(str, rates))
        note = f"its frames are of {listed} Hz, and all are read as {info.rate} Hz"
    elif len(found) > 1:
        note = _changes([(one.info.rate, one.info.channels) for one in found])
    elif 0 < info.total < found[0].samples:
        note = f"the header counts {info.total:,} samples, {found[0].samples:,} are there: all are read"
    short = len(found) == 1 and found[0].samples < info.total
    return Layout(parts, note, info.total if short else None, whole=len(found) == 1 and not parts[0].patches)


def _flac_part(stream: BinaryIO, one: flac.Stretch) -> Part:
    info = one.info
    if one.samples <= info.total and info.total:
        # a truncated file keeps its count, so that the decoder notices the truncation
        return Part(((info.start, one.end),), samples=one.samples or None)
    stream.seek(info.total_at)
    patch = (info.total_at, info.counted(stream.read(5), one.samples))
    return Part(((info.start, one.end),), (patch,), samples=one.samples)


def _riff(stream: BinaryIO, start: int, size: int, thorough: bool) -> Layout:
    header = read_header(stream)
    if header is None:
        return Layout((Part(((0, size),)),), whole=True)
    ends: list[int] = []
    at = header.end
    while at is not None and at + 12 <= size and len(ends) < MOST_PARTS - 1:
        following = _joined(stream, at, size)
        if following is None:
            break
        ends.append(at)
        at = following
    if ends:
        starts = [0, *ends]
        parts = tuple(Part((pair,)) for pair in zip(starts, [*ends, size], strict=True))
        return Layout(parts, _changes([heard for start in starts if (heard := _heard(stream, start))]))
    patches, note = _mended(stream, header, size)
    part = Part(((0, size),), patches)
    return Layout((part,), note, whole=not patches)


def _heard(stream: BinaryIO, start: int) -> tuple[int, int] | None:
    """Rate and channels of the WAV file that begins at `start`."""
    stream.seek(start)
    header = read_header(io.BytesIO(stream.read(_HEAD)))
    if header is None or not header.sample_rate or not header.channels:
        return None
    return header.sample_rate, header.channels


def _joined(stream: BinaryIO, at: int, size: int) -> int | None:
    """The end of another WAV file that begins at `at`; None where there is none."""
    stream.seek(at)
    head = stream.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    length = int.from_bytes(head[4:8], "little")
    return min(size, at + 8 + length + length % 2)


def _mended(stream: BinaryIO, header: Header, size: int) -> tuple[tuple[tuple[int, bytes], ...], str | None]:
    """Replacement for a header that the decoder does not support or that gives no length."""
    patches: list[tuple[int, bytes]] = []
    if header.magic == b"BW64":  # RF64 by another name; without its table of large sizes it is plain RIFF
        patches.append((0, b"RF64" if header.large_at is not None else b"RIFF"))
    if header.data_offset is None or not header.size_fields:
        return tuple(patches), None
    there = size - header.data_offset
    little = header.little_endian
    if header.data_bytes == 0:
        if only_chunks(stream, header.data_offset, size, little_endian=little):
            return tuple(patches), None
        if header.large_at is not None:
            large = (size - 8).to_bytes(8, "little") + there.to_bytes(8, "little")
            patches.append((header.large_at, large))
        else:
            length = min(there, 0xFFFFFFFF).to_bytes(4, "little" if little else "big")
            patches += [(at, length) for at in header.size_fields]
        note = "the header gives no length, as in a piped recording: read to the end of the file"
        return tuple(patches), note
    return tuple(patches), _unread(stream, header, size)


def _unread(stream: BinaryIO, header: Header, size: int) -> str | None:
    """A note on bytes after the samples that are neither chunks nor tags nor padding."""
    assert header.data_offset is not None
    if header.data_bytes is None:
        return None
    behind = header.data_offset + header.data_bytes + header.data_bytes % 2
    if size - behind < _WORTH_A_NOTE:
        return None
    stream.seek(behind)
    head = stream.read(_WORTH_A_NOTE)
    if (head[:4].isascii() and head[:4].decode("ascii").isprintable()) or not head.strip(b"\0"):
        return None
    return f"{size - behind:,} bytes behind the samples that the header counts are not read"


def _changes(heard: list[tuple[int, int]]) -> str | None:
    """A note about parts with these (rate, channels); None where all are equal."""
    if len(set(heard)) < 2:
        return None
    first = heard[0]
    other = next(pair for pair in heard if pair != first)
    return (
        f"{len(heard)} recordings joined in one file, of {first[0]} Hz with {_channels(first[1])} and "
        f"{other[0]} Hz with {_channels(other[1])}: all are read as the first"
    )


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


_BY_KIND: dict[str, Callable[[BinaryIO, int, int, bool], Layout]] = {
    kinds.MP3.name: _mpeg,
    kinds.OGG.name: _ogg,
    kinds.FLAC.name: _flac,
    kinds.WAV.name: _riff,
}
