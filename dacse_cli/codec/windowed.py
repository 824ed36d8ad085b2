"""What all codecs share: whole recordings in windows, and windows of equal shape in one batch.

Works on arrays only; what turns rows into units and back is left to each kind of codec.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacse_cli.codec.stream import DecodeStream, EncodeStream
from dacse_cli.interfaces import CodecSpec, Samples, Units, Window

Rows = NDArray[Any]


class WindowedCodec(ABC):
    """An `interfaces.Codec` made of two functions on rows. Units do not depend on the window."""

    rows = 1
    """Rows (channels of windows) computed at once."""

    def __init__(self, spec: CodecSpec, device: str = "cpu") -> None:
        self.spec = spec
        self.device = device

    @abstractmethod
    def encode_rows(self, samples: Samples) -> Units:
        """Units `[R, U, t]` of samples `[R, t * hop]`, each row as if it were a whole recording."""

    @abstractmethod
    def decode_rows(self, units: Units, kept: slice) -> Samples:
        """Samples `[R, kept * hop]` of the frames `kept` of units `[R, U, t]`."""

    def encode(self, samples: Samples, window_seconds: float | None = None) -> Units:
        """Units `[C, U, T]` of samples `[C, S]`, finite, at the codec's rate; T = ceil(S / hop)."""
        stream = EncodeStream(self, samples.shape[0], self._frames(window_seconds))
        return np.concatenate([stream.push(samples), stream.finish()], axis=-1)

    def decode(self, units: Units, window_seconds: float | None = None) -> Samples:
        """Samples `[C, T * hop]` of units `[C, U, T]`. Raises `InputError` for units of another codec."""
        stream = DecodeStream(self, units.shape[0], self._frames(window_seconds))
        return np.concatenate([stream.push(units), stream.finish()], axis=-1)

    def encode_windows(self, windows: Sequence[Window]) -> list[Units]:
        """The kept units `[C, U, kept]` of every window; equal lengths share a batch."""

        def compute(rows: Rows, _: Hashable) -> Rows:
            return self.encode_rows(rows)

        units = self._in_batches(windows, compute, lambda window: None)
        return [part[..., window.kept] for part, window in zip(units, windows, strict=True)]

    def decode_windows(self, windows: Sequence[Window]) -> list[Samples]:
        """The kept samples `[C, kept * hop]` of every window; equal shapes share a batch."""

        def compute(rows: Rows, kept: Any) -> Rows:
            return self.decode_rows(rows, slice(*kept))

        return self._in_batches(windows, compute, lambda window: (window.kept.start, window.kept.stop))

    def _in_batches(
        self,
        windows: Sequence[Window],
        compute: Callable[[Rows, Hashable], Rows],
        key: Callable[[Window], Hashable],
    ) -> list[Rows]:
        """`compute` on all rows of all windows, those of one shape and `key` in batches of `self.rows`."""
        groups: dict[Hashable, list[int]] = {}
        for index, window in enumerate(windows):
            groups.setdefault((window.data.shape[1:], key(window)), []).append(index)
        results: dict[int, Rows] = {}
        for indices in groups.values():
            wanted = key(windows[indices[0]])
            rows = [row for index in indices for row in windows[index].data]
            parts = [
                compute(np.stack(rows[low : low + self.rows]), wanted)
                for low in range(0, len(rows), self.rows)
            ]
            stops = np.cumsum([len(windows[index].data) for index in indices])
            results |= zip(indices, np.split(np.concatenate(parts), stops[:-1]), strict=True)
        return [results[index] for index in range(len(windows))]

    def _frames(self, seconds: float | None) -> int:
        return self.spec.seconds_to_frames(self.spec.window_seconds if seconds is None else seconds)
