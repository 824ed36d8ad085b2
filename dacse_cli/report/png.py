"""Shades -> a PNG with a palette, by the standard library alone (PNG specification, RFC 2083)."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_STOPS = (
    (0.00, (11, 9, 28)),
    (0.22, (52, 22, 92)),
    (0.42, (118, 33, 116)),
    (0.60, (188, 55, 94)),
    (0.78, (240, 116, 62)),
    (0.92, (252, 196, 98)),
    (1.00, (255, 246, 214)),
)
"""Dark to light with evenly rising brightness, so that it reads the same in grey."""


def palette(levels: int) -> bytes:
    """RGB of `levels` shades, from quiet to loud."""
    at = np.linspace(0, 1, levels)
    places = [place for place, _ in _STOPS]
    channels = [np.interp(at, places, [colour[c] for _, colour in _STOPS]) for c in range(3)]
    return bytes(np.stack(channels, axis=1).round().astype(np.uint8).tobytes())


def encode(shades: NDArray[np.uint8], levels: int) -> bytes:
    """A PNG of `shades` `[H, W]`, each below `levels`."""
    H, W = shades.shape
    lines = np.concatenate([np.zeros((H, 1), np.uint8), shades], axis=1)  # each line: no filter
    header = struct.pack(">IIBBBBB", W, H, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", header),
            (b"PLTE", palette(levels)),
            (b"IDAT", zlib.compress(lines.tobytes(), 9)),
            (b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
