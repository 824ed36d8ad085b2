"""Which frames are computed together, and which of them are kept. Integers only.

A window is computed with `margin` frames of context on both sides and keeps what lies between; at the two
ends of a recording there is no context to drop. All windows but the last of a recording have the same
length, `size + 2 * margin` frames; with `equal` the last one has it too, and sees more context than it needs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WindowPlan:
    """Frames `start..stop` (half-open) are kept of a computation over frames `left..right`."""

    start: int
    stop: int
    left: int
    right: int

    @property
    def kept(self) -> slice:
        """The kept frames, counted from `left`."""
        return slice(self.start - self.left, self.stop - self.left)


@dataclass(frozen=True)
class Windowing:
    """How a recording is cut: `size` frames kept of a window, `margin` frames of context on each side."""

    size: int
    margin: int
    equal: bool = False
    """The last window of a longer recording has the length of the others: one shape for a GPU's kernels."""

    @property
    def length(self) -> int:
        """Frames of a full window, context included."""
        return self.size + 2 * self.margin

    def next_window(self, start: int, total: int, *, ended: bool) -> WindowPlan | None:
        """The window that keeps frames from `start` on, or None while that cannot be decided.

        `total` frames are available; `ended` says that there will be no more. A window that reaches the end
        keeps all up to it, so one that only touches the last frame seen so far must wait.
        """
        left = max(0, start - self.margin)
        right = left + self.length
        if right < total:
            return WindowPlan(start, right - self.margin, left, right)
        if not ended or start >= total:
            return None
        if self.equal:
            left = max(0, total - self.length)
        return WindowPlan(start, total, left, total)

    def first_needed(self, start: int, total: int) -> int:
        """The first frame that later windows may need, once frames before `start` are done."""
        first = start - self.margin
        if self.equal:
            first = min(first, total - self.length)
        return max(0, first)
