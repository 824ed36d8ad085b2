"""Streaming codec: final output is returned immediately, and memory does not grow with length.

Handles windows and buffers, not networks. `Codec.encode` and `Codec.decode` run these same streams, so the
concatenated pieces are bit-identical to one call with the same window.

`push` and `finish` compute at once. To compute windows of many recordings in one batch, take them by
`windows` and `last_windows`, and give all to `Codec.encode_windows` or `decode_windows`; the results joined
in order are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacse_cli.codec.windows import Windowing
from dacse_cli.interfaces import Codec, CodecSpec, Codes, Samples, Units, Window


class EncodeStream:
    """Samples in, units out. `push` gives the units that later samples cannot change."""

    def __init__(self, codec: Codec, channels: int, window_frames: int | None = None) -> None:
        self._codec = codec
        self._none = no_units(codec.spec, channels)
        windowing = _windowing(codec, codec.spec.encode_margin, window_frames)
        self._buffer = _Buffer(np.zeros((channels, 0), np.float32), codec.spec.hop_length, windowing)

    def push(self, samples: Samples) -> Units:
        """Take samples `[C, n]`; give units `[C, U, t]`, t >= 0."""
        return self._join(self.windows(samples))

    def finish(self) -> Units:
        """Pad with zeros to a whole frame and give the remaining units `[C, U, t]`."""
        return self._join(self.last_windows())

    def windows(self, samples: Samples) -> list[Window]:
        """Take samples `[C, n]`; give the windows that can be computed now."""
        self._buffer.push(samples)
        return self._buffer.windows(ended=False)

    def last_windows(self) -> list[Window]:
        """Pad with zeros to a whole frame and give the remaining windows."""
        self._buffer.pad_to_frames()
        return self._buffer.windows(ended=True)

    def _join(self, windows: list[Window]) -> Units:
        return np.concatenate([self._none, *self._codec.encode_windows(windows)], axis=-1)


class DecodeStream:
    """Units in, samples out. `push` gives the samples that later units cannot change."""

    def __init__(self, codec: Codec, channels: int, window_frames: int | None = None) -> None:
        self._codec = codec
        self._none = np.zeros((channels, 0), np.float32)
        windowing = _windowing(codec, codec.spec.decode_margin, window_frames)
        self._buffer = _Buffer(np.zeros((channels, 0, 0), np.float32), 1, windowing)

    def push(self, units: Units) -> Samples:
        """Take units `[C, U, t]`; give samples `[C, n]`, n a multiple of the hop and maybe 0."""
        return self._join(self.windows(units))

    def finish(self) -> Samples:
        """Give the remaining samples, the decoder's tail filled with zeros."""
        return self._join(self.last_windows())

    def windows(self, units: Units) -> list[Window]:
        """Take units `[C, U, t]`; give the windows that can be computed now."""
        self._buffer.push(units)
        return self._buffer.windows(ended=False)

    def last_windows(self) -> list[Window]:
        """Give the remaining windows."""
        return self._buffer.windows(ended=True)

    def _join(self, windows: list[Window]) -> Samples:
        return np.concatenate([self._none, *self._codec.decode_windows(windows)], axis=-1)


def no_units(spec: CodecSpec, channels: int) -> Units:
    """Units of no frames, `[channels, U, 0]`."""
    if isinstance(spec.units, Codes):
        return np.zeros((channels, spec.units.books, 0), np.int16)
    return np.zeros((channels, spec.units.width, 0), np.float32)


def _windowing(codec: Codec, margin: int, frames: int | None) -> Windowing:
    size = frames or codec.spec.seconds_to_frames(codec.spec.window_seconds)
    return Windowing(size, margin, equal=not codec.device.startswith("cpu"))


class _Buffer:
    """The last axis of a growing array, with its front cut off as windows pass it."""

    def __init__(self, empty: NDArray[Any], per_frame: int, windowing: Windowing) -> None:
        self._held = empty
        self._per_frame = per_frame
        self._windowing = windowing
        self._first = 0  # frame at which `_held` begins
        self._next = 0  # first frame not yet given out

    def push(self, piece: NDArray[Any]) -> None:
        self._held = np.concatenate([self._held, piece], axis=-1) if self._held.shape[-1] else piece

    def windows(self, *, ended: bool) -> list[Window]:
        """Every window that can be decided now."""
        found = []
        while plan := self._windowing.next_window(self._next, self._frames, ended=ended):
            data = self._held[..., self._at(plan.left) : self._at(plan.right)]
            found.append(Window(data, plan.kept))
            self._next = plan.stop
        # a copy of the little that is still needed, so that the caller's large array can go
        keep = max(self._first, self._windowing.first_needed(self._next, self._frames))
        self._held = self._held[..., self._at(keep) :].copy()
        self._first = keep
        return found

    def pad_to_frames(self) -> None:
        """Zeros up to a whole frame."""
        missing = -self._held.shape[-1] % self._per_frame
        if missing:
            width = [(0, 0)] * (self._held.ndim - 1) + [(0, missing)]
            self._held = np.pad(self._held, width)

    @property
    def _frames(self) -> int:
        length: int = self._held.shape[-1]
        return self._first + length // self._per_frame

    def _at(self, frame: int) -> int:
        return (frame - self._first) * self._per_frame
