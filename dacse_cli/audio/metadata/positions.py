"""Positions counted in samples inside a chunk, at another sample rate. Bytes in, bytes out."""

from __future__ import annotations

import struct

_TIME_REFERENCE = struct.Struct("<Q")
_TIME_REFERENCE_AT = 338
_CUE_POINT = struct.Struct("<II4sIII")
_CAF_MARKER = 28
_FIXED = (b"smpl", b"regn", b"INST", b"inst")
"""Loops of an instrument, and regions of a CAF: they would have to lie exactly."""


def at_rate(name: bytes, body: bytes, source: int, target: int) -> bytes | None:
    """A chunk's content with its positions at `target` instead of `source` Hz; None for one to leave out.

    A chunk that is too short stays as it is.
    """
    if name in _FIXED:
        return None
    move = _MOVERS.get(name)
    if move is None:
        return body
    data = bytearray(body)
    move(data, target / source)
    return bytes(data)


def _bext(data: bytearray, factor: float) -> None:
    if len(data) >= _TIME_REFERENCE_AT + 8:
        (reference,) = _TIME_REFERENCE.unpack_from(data, _TIME_REFERENCE_AT)
        _TIME_REFERENCE.pack_into(data, _TIME_REFERENCE_AT, min(2**64 - 1, round(reference * factor)))


def _cue(data: bytearray, factor: float) -> None:
    if len(data) < 4:
        return
    (count,) = struct.unpack_from("<I", data)
    for at in range(4, min(4 + 24 * count, len(data) - 23), 24):
        label, position, chunk, start, block, offset = _CUE_POINT.unpack_from(data, at)
        _CUE_POINT.pack_into(data, at, label, _u32(position, factor), chunk, start, block,
                             _u32(offset, factor))  # fmt: skip


def _list(data: bytearray, factor: float) -> None:
    at = 4
    while data[:4] == b"adtl" and at + 8 <= len(data):
        part, length = struct.unpack_from("<4sI", data, at)
        if part == b"ltxt" and at + 16 <= len(data):
            (samples,) = struct.unpack_from("<I", data, at + 12)
            struct.pack_into("<I", data, at + 12, _u32(samples, factor))
        at += 8 + length + length % 2


def _aiff_mark(data: bytearray, factor: float) -> None:
    at = 2
    while at + 7 <= len(data):
        (position,) = struct.unpack_from(">I", data, at + 2)
        struct.pack_into(">I", data, at + 2, _u32(position, factor))
        name = 1 + data[at + 6]
        at += 6 + name + name % 2


def _caf_mark(data: bytearray, factor: float) -> None:
    for at in range(8, len(data) - _CAF_MARKER + 1, _CAF_MARKER):
        (position,) = struct.unpack_from(">d", data, at + 4)
        struct.pack_into(">d", data, at + 4, position * factor)


def _u32(position: int, factor: float) -> int:
    return min(2**32 - 1, round(position * factor))


_MOVERS = {b"bext": _bext, b"cue ": _cue, b"LIST": _list, b"MARK": _aiff_mark, b"mark": _caf_mark}
