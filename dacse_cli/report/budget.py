"""How much of every file fits into one page, computed from the number of files."""

from __future__ import annotations

from dataclasses import dataclass

PAGE_BYTES = 28_000_000
"""Target for the whole page: compressed sizes vary, and a report should fit into a mail (30 MB)."""
FRAME_BYTES = 150_000
"""Size of a page without files: style, script, settings."""
TEXT_BYTES = 6_000
"""Bytes per file for text: names, numbers, outlines of waveforms."""
BASE64 = 4 / 3
PIXEL_BYTES = 0.75
"""Upper bound of a deflated pixel of `spectrum.LEVELS` levels, noise included."""
MOST_SECONDS = 60.0
FEWEST_SECONDS = 2.0
WIDEBAND_BITS, FULLBAND_BITS = 24_000, 40_000
"""Bits per second of Opus for previews up to 16 kHz and above."""


@dataclass(frozen=True)
class Budget:
    """What each file may use. `seconds` of fullband preview; narrower ones may be longer."""

    bytes: float
    columns: int
    """Width of a picture in pixels."""
    rows: int
    """Height."""

    def seconds(self, rate: int) -> float:
        """Longest preview of two sides at `rate` samples per second."""
        pictures = 2 * self.columns * self.rows * PIXEL_BYTES
        sound = self.bytes / BASE64 - pictures
        found = 8 * sound / (2 * bit_rate(rate))
        return min(MOST_SECONDS, max(FEWEST_SECONDS, found))


def bit_rate(rate: int) -> int:
    """Bits per second of a preview at `rate` samples per second."""
    return WIDEBAND_BITS if rate <= 16_000 else FULLBAND_BITS


def share(files: int) -> Budget:
    """The budget of each of `files` files with sound."""
    room = (PAGE_BYTES - FRAME_BYTES) / max(files, 1) - TEXT_BYTES
    columns, rows = (800, 160) if room > 800_000 else (560, 112) if room > 300_000 else (320, 80)
    return Budget(max(room, 0.0), columns, rows)
