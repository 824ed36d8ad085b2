"""Which rows the models work on: one for each channel that differs, or the mean of all (`mono`).

Also which codec frames of a row are digital silence.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dacse_cli.interfaces import Samples
from dacse_cli.pipeline.task.reading.sources import Signal

CANCELLED = 0.01
"""Below this share of the loudest channel's energy (-20 dB), the speech has cancelled in the mean."""
Number = TypeVar("Number", bound=np.generic)


class Rows:
    """Channels `[C, ...]` <-> rows `[R, ...]`. C' is the number of channels of the result."""

    def __init__(self, signal: Signal, channels: str) -> None:
        self._mono = channels == "mono" and signal.channels > 1
        self._firsts = sorted(set(signal.duplicates))
        self._row_of = [self._firsts.index(first) for first in signal.duplicates]
        self._energies = np.zeros(signal.channels + 1)  # of every channel, and of their mean

    @property
    def count(self) -> int:
        """Rows through the models (R)."""
        return 1 if self._mono else len(self._firsts)

    @property
    def channels(self) -> int:
        """Channels of the result (C')."""
        return 1 if self._mono else len(self._row_of)

    def select(self, block: Samples) -> Samples:
        """Channels `[C, n]` -> rows `[R, n]`."""
        if not self._mono:
            return self.first_of(block)
        mean: Samples = block.mean(axis=0, keepdims=True, dtype=np.float32)
        return mean

    def first_of(self, channels: NDArray[Number]) -> NDArray[Number]:
        """The channels `[R, ...]` of `[C, ...]` that differ from those before them."""
        return channels[self._firsts]

    def spread(self, rows: NDArray[Number]) -> NDArray[Number]:
        """Rows `[R, ...]` of samples or units -> channels of the result `[C', ...]`."""
        return rows if self._mono else rows[self._row_of]

    def mix_down(self, block: Samples) -> Samples:
        """Input channels `[C, n]` -> channels of the result `[C', n]`, unprocessed."""
        return self.select(block) if self._mono else block

    def measure(self, block: Samples) -> None:
        """Take a block into account for `warnings`."""
        if self._mono:
            both = np.concatenate([block, self.select(block)])
            self._energies += np.square(both, dtype=np.float64).sum(axis=1)

    @property
    def warnings(self) -> list[str]:
        """Warnings about the rows, after all blocks were measured."""
        *channels, mean = self._energies
        if not self._mono or mean >= CANCELLED * max(channels):
            return []
        return ['the channels cancel each other out in their mean: choose `channels="keep"`']


class Activity:
    """Which codec frames of each row hold any sample that is not exactly zero."""

    def __init__(self, rows: int, frames: int, source_rate: int, codec_rate: int, hop: int) -> None:
        self._active = np.zeros((rows, frames), dtype=bool)
        self._source_rate, self._codec_rate, self._hop = source_rate, codec_rate, hop
        self._position = 0

    def mark(self, block: Samples) -> None:
        """Take the next source samples `[R, n]` into account."""
        n = block.shape[1]
        if not n or not self._active.shape[1]:
            return
        times = np.arange(self._position, self._position + n, dtype=np.int64)
        frames = np.minimum(
            times * self._codec_rate // (self._source_rate * self._hop), self._active.shape[1] - 1
        )
        starts = np.flatnonzero(np.diff(frames, prepend=-1))
        self._active[:, frames[starts]] |= np.logical_or.reduceat(block != 0, starts, axis=1)
        self._position += n

    def silent(self, row: int, start: int, stop: int) -> bool:
        """Whether frames `[start, stop)` and their neighbours are digital silence."""
        return not self._active[row, max(0, start - 1) : stop + 1].any()

    def envelope(self, row: int, start: int, stop: int) -> Samples | None:
        """Gains `[(stop - start) * hop]` that keep digital silence silent; None where there is none.

        0 in silent frames between silent ones, with a ramp in a silent frame beside sound, so that the
        codec's remaining sound there does not end in a click.
        """
        active = np.pad(self._active[row], (1, 1))[start : stop + 2]
        if active.all():
            return None
        before, here, after = active[:-2], active[1:-1], active[2:]
        rise = np.arange(self._hop, dtype=np.float32) / np.float32(self._hop)
        gains = np.where(here[:, None], np.float32(1), np.float32(0)) + np.zeros_like(rise)
        gains[~here & before] += 1 - rise
        gains[~here & after] += rise
        envelope: Samples = np.minimum(gains, 1).reshape(-1)
        return envelope
