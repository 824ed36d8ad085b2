"""Sizes of a mask network, as in its `config.json`. Uses no tensors and no files."""

from __future__ import annotations

from dataclasses import dataclass

BINS = 256
"""Frequency bins that the network reads, 31.25 Hz apart: 0 to 8 kHz."""
HOP_SECONDS = 0.016
"""Seconds between frames; a window is twice as long."""


MOST_KEPT = 1 << 18
"""Numbers per band that the blocks of a stream may keep: 32 MB per channel of a recording."""
MOST_FUTURE = 4096
"""Frames of look-ahead, about a minute."""


@dataclass(frozen=True)
class MaskConfig:
    """Everything that decides the shapes of the network's weights."""

    width: int = 48
    """Feature channels per band."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 8)
    """Frames between the taps of each block's convolution over time."""
    past_taps: int = 3
    """Taps before the current frame."""
    future_taps: int = 1
    """Taps after the current frame."""
    filter_taps: tuple[int, ...] = (-1, 0, 1)
    """Frames of the recording that one output frame is a weighted sum of."""
    guides: int = 0
    """Guiding signals the network can read beside the recording: 0 or 1."""

    def problems(self) -> list[str]:
        """What is out of bounds, one sentence each."""
        found = []
        if not 4 <= self.width <= 512:
            found.append(f"width must lie between 4 and 512, not {self.width}")
        if not 1 <= len(self.dilations) <= 64:
            found.append(f"there must be 1 to 64 dilations, not {len(self.dilations)}")
        if not all(1 <= dilation <= 1024 for dilation in self.dilations):
            found.append("every dilation must lie between 1 and 1024")
        if not (0 <= self.past_taps <= 16 and 0 <= self.future_taps <= 16):
            found.append("past_taps and future_taps must lie between 0 and 16")
        if not 1 <= len(self.filter_taps) <= 9 or not all(-8 <= tap <= 8 for tap in self.filter_taps):
            found.append("filter_taps must be 1 to 9 numbers from -8 to 8")
        elif 0 not in self.filter_taps:
            found.append("filter_taps must contain 0, the frame itself")
        if not found and self._kept > MOST_KEPT:
            found.append(
                f"its blocks keep {self._kept} numbers per band between frames, more than {MOST_KEPT}"
            )
        if not found and self.future_frames > MOST_FUTURE:
            found.append(f"it looks {self.future_frames} frames ahead, more than {MOST_FUTURE}")
        if self.guides not in (0, 1):
            found.append(f"guides must be 0 or 1, not {self.guides}")
        return found

    @property
    def _kept(self) -> int:
        """Numbers per band and channel of a recording that a stream keeps between frames."""
        return (self.past_taps + self.future_taps) * sum(self.dilations) * self.width

    @property
    def taps(self) -> int:
        """Taps of a block's convolution."""
        return self.past_taps + 1 + self.future_taps

    @property
    def features(self) -> int:
        """Numbers per bin that the network reads (see `analysis`)."""
        return 4 + 2 * self.guides

    @property
    def future_frames(self) -> int:
        """Feature frames after the current one that a mask depends on."""
        return self.future_taps * sum(self.dilations)
