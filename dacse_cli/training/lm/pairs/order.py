"""The order of rows: integers in, integers out, deterministic.

An epoch takes every row once. Rows of similar length are batched together, because a batch costs its longest
row times its rows: the epoch's order is divided into windows of `WINDOW` batches, each window sorted by
length and cut into batches, and the batches are shuffled.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dacse_cli.training.runs.chance import numpy_rng

WINDOW = 50


class Order:
    """Batches of `rows` rows each over rows of the given lengths, without end."""

    def __init__(self, lengths: Sequence[int], rows: int, seed: int) -> None:
        """A data set smaller than a batch is repeated until it fills one."""
        repeats = -(-rows // len(lengths))
        self._lengths = np.tile(np.asarray(lengths, np.int64), repeats)
        self._real, self._rows, self._seed = len(lengths), rows, seed
        self._epoch = lru_cache(maxsize=2)(self._shuffled)

    @property
    def batches(self) -> int:
        """Batches per epoch; rows that do not fill a batch are left for another epoch."""
        return len(self._lengths) // self._rows

    def batch(self, number: int) -> list[int]:
        """Rows of batch `number`, counted from the beginning of training."""
        epoch, place = divmod(number, self.batches)
        return [int(row) % self._real for row in self._epoch(epoch)[place]]

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        """Batches of an epoch [batches, rows]."""
        rng = numpy_rng(self._seed, epoch)
        order = rng.permutation(len(self._lengths))[: self.batches * self._rows]
        window = WINDOW * self._rows
        for start in range(0, len(order), window):
            part = order[start : start + window]
            order[start : start + window] = part[np.argsort(self._lengths[part], kind="stable")]
        return np.asarray(order.reshape(-1, self._rows)[rng.permutation(self.batches)])
