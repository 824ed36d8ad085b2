"""A codec fed piece by piece: what is final comes out at once, memory does not grow with length.

Knows windows and buffers, not networks. `Codec.encode` and `Codec.decode` run these same streams, so the
pieces joined are bit for bit the one-shot result with the same window.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dacse_cli.codec.spec import CodecSpec
from dacse_cli.codec.windows import WINDOW_SECONDS, Window, next_window

Value = TypeVar("Value", bound=np.generic)


class WindowCodec(Protocol):
    """The part of `Codec` that a stream needs."""

    @property
    def spec(self) -> CodecSpec:
        """Rates, sizes, margins."""

    def encode_window(self, samples: NDArray[np.float32]) -> NDArray[np.int16]:
        """Codes [C, K, t] of samples [C, t*hop]."""

    def decode_window(self, codes: NDArray[np.int16]) -> NDArray[np.float32]:
        """Samples [C, t*hop - decode_tail] of codes [C, k, t]."""


class _Buffer(Generic[Value]):
    """The last axis of a growing array, with its front cut off as windows pass it."""

    def __init__(self, empty: NDArray[Value], per_frame: int, size: int, margin: int) -> None:
        self._held = empty
        self._per_frame = per_frame
        self._size = size
        self._margin = margin
        self._first = 0  # frame at which `_held` begins
        self._next = 0  # first frame not yet given out

    def push(self, piece: NDArray[Value]) -> None:
        self._held = np.concatenate([self._held, piece], axis=-1) if self._held.shape[-1] else piece

    def windows(self, *, ended: bool) -> Iterator[tuple[Window, NDArray[Value]]]:
        """Every window that can be decided now, with the data of its frames left..right."""
        while window := next_window(
            self._next, self._frames, ended=ended, size=self._size, margin=self._margin
        ):
            yield window, self._held[..., self._at(window.left) : self._at(window.right)]
            self._next = window.stop
        # a copy of the little that is still needed, so that the caller's large array can go
        keep = max(self._first, self._next - self._margin)
        self._held = self._held[..., self._at(keep) :].copy()
        self._first = keep

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


class EncodeStream:
    """Samples in, codes out. `push` gives the codes that later samples cannot change."""

    def __init__(self, codec: WindowCodec, channels: int, window_frames: int | None = None) -> None:
        spec = codec.spec
        size = window_frames or spec.seconds_to_frames(WINDOW_SECONDS)
        self._codec = codec
        self._none = np.zeros((channels, spec.n_codebooks, 0), np.int16)
        self._buffer = _Buffer(np.zeros((channels, 0), np.float32), spec.hop_length, size, spec.encode_margin)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.int16]:
        """Take samples [C, n]; give codes [C, K, t], t >= 0."""
        self._buffer.push(samples)
        return self._take(ended=False)

    def finish(self) -> NDArray[np.int16]:
        """Pad with zeros to a whole frame and give the remaining codes [C, K, t]."""
        self._buffer.pad_to_frames()
        return self._take(ended=True)

    def _take(self, *, ended: bool) -> NDArray[np.int16]:
        parts = [self._none]
        for window, samples in self._buffer.windows(ended=ended):
            parts.append(self._codec.encode_window(samples)[..., window.kept])
        return np.concatenate(parts, axis=2)


class DecodeStream:
    """Codes in, samples out. `push` gives the samples that later codes cannot change."""

    def __init__(self, codec: WindowCodec, channels: int, window_frames: int | None = None) -> None:
        size = window_frames or codec.spec.seconds_to_frames(WINDOW_SECONDS)
        self._codec = codec
        self._none = np.zeros((channels, 0), np.float32)
        self._buffer: _Buffer[np.int16] = _Buffer(
            np.zeros((channels, 0, 0), np.int16), 1, size, codec.spec.decode_margin
        )

    def push(self, codes: NDArray[np.int16]) -> NDArray[np.float32]:
        """Take codes [C, k, t]; give samples [C, n], n a multiple of the hop and maybe 0."""
        self._buffer.push(codes)
        return self._take(ended=False)

    def finish(self) -> NDArray[np.float32]:
        """Give the remaining samples, the decoder's tail filled with zeros."""
        return self._take(ended=True)

    def _take(self, *, ended: bool) -> NDArray[np.float32]:
        hop = self._codec.spec.hop_length
        parts = [self._none]
        for window, codes in self._buffer.windows(ended=ended):
            samples = self._codec.decode_window(codes)
            kept = samples[:, window.kept.start * hop : window.kept.stop * hop]
            missing = (window.stop - window.start) * hop - kept.shape[1]
            parts.append(np.pad(kept, ((0, 0), (0, missing))))
        return np.concatenate(parts, axis=1)
