"""Which frames are computed together, and which of them are kept. Integers only.

A window is computed with `margin` frames of context on both sides and keeps what lies between; at the two
real ends of a recording there is no context to drop. All windows but the last of a recording have the same
length, `size + 2 * margin` frames, so kernels are planned for at most two shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

WINDOW_SECONDS = 4.0
"""Sound kept of one window: by 70 and 103 MiB a second (plain `DacModel`) about 0.3 GiB
encoding and 0.4 GiB decoding a channel with the released codec, and
less than a tenth of the work goes into context."""


@dataclass(frozen=True)
class Window:
    """Frames `start..stop` (half-open) are kept of a computation over frames `left..right`."""

    start: int
    stop: int
    left: int
    right: int

    @property
    def kept(self) -> slice:
        """The kept frames, counted from `left`."""
        return slice(self.start - self.left, self.stop - self.left)


def next_window(start: int, total: int, *, ended: bool, size: int, margin: int) -> Window | None:
    """The window that keeps frames from `start` on, or None while that cannot be decided.

    `total` frames are there; `ended` says that no more will come. A window that reaches the end keeps all up
    to it, so one that only touches the last frame seen so far must wait.
    """
    left = max(0, start - margin)
    right = left + size + 2 * margin
    if right < total:
        return Window(start, right - margin, left, right)
    if ended and start < total:
        return Window(start, total, left, total)
    return None


def plan_windows(total: int, *, size: int, margin: int) -> Iterator[Window]:
    """All windows of a recording of `total` frames: together they keep every frame once, in order."""
    start = 0
    while window := next_window(start, total, ended=True, size=size, margin=margin):
        yield window
        start = window.stop
