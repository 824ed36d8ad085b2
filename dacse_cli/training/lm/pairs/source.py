"""Batches of codes by number: from the cache, or from noise mixed on the fly.

Batches are numbered by backward pass, over all processes; a row of mixed pairs is never used twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dacse_cli.interfaces import Codec
from dacse_cli.training.lm.pairs.encode import encode_pairs
from dacse_cli.training.lm.pairs.order import Order
from dacse_cli.training.lm.pairs.shards import CodePair, Shards
from dacse_cli.training.mix.pairs import PairPlan, make_batch, make_pair
from dacse_cli.training.runs.ahead import Ahead, in_order
from dacse_cli.training.runs.chance import numpy_rng

CodeBatch = list[CodePair]


class Source(Protocol):
    """Where batches come from."""

    def batch(self, number: int) -> CodeBatch:
        """Batch `number`, the same at every call."""

    def close(self) -> None:
        """End threads and processes."""


@dataclass(frozen=True)
class Cut:
    """Length of the pairs of a batch: `frames` (None: whole), at most `longest`, sometimes varied."""

    frames: int | None
    longest: int
    vary: float = 0.0
    seed: int = 0

    def limit(self, number: int) -> int:
        """Greatest length in frames of the pairs of batch `number`."""
        frames = self.longest if self.frames is None else self.frames
        rng = numpy_rng(self.seed, number)
        if self.frames is not None and rng.random() < self.vary:
            frames = int(rng.integers(max(1, frames // 4), frames * 5 // 4 + 1))
        return min(frames, self.longest)

    def start(self, number: int, place: int, own: int) -> int:
        """First frame of the part taken from a pair of `own` frames, pair `place` of batch `number`."""
        room = own - self.limit(number)
        return 0 if room <= 0 else int(numpy_rng(self.seed, number, place + 1).integers(room + 1))

    def pair(self, number: int, place: int, pair: CodePair) -> CodePair:
        """The cut part of `pair`."""
        start = self.start(number, place, pair.clean.shape[1])
        kept = slice(start, start + self.limit(number))
        return CodePair(pair.noisy[:, kept], pair.clean[:, kept])


class CachedSource:
    """Encoded pairs: `rows` of `shards`, epoch after epoch."""

    def __init__(self, shards: Shards, rows: Sequence[int], batch_rows: int, cut: Cut, seed: int) -> None:
        lengths = shards.lengths()
        self._shards, self._rows, self._cut = shards, rows, cut
        self._order = Order([lengths[row] for row in rows], batch_rows, seed)

    def batch(self, number: int) -> CodeBatch:
        """Rows of batch `number`, cut."""
        rows = [self._rows[row] for row in self._order.batch(number)]
        return [self._cut.pair(number, place, self._shards.read(row)) for place, row in enumerate(rows)]

    def close(self) -> None:
        """Nothing to end."""


class MixedSource:
    """Pairs that are mixed in advance by `jobs` processes (1: a thread), and encoded when needed."""

    def __init__(
        self, plan: PairPlan, codec: Codec, batch_rows: int, cut: Cut, *, jobs: int = 1, stride: int = 1
    ) -> None:
        """`stride`: difference between the numbers that this process asks for, one after another."""
        self._codec, self._cut = codec, cut
        self._pairs = Ahead(make_batch, (plan, batch_rows), jobs=jobs, stride=stride)

    def batch(self, number: int) -> CodeBatch:
        """Rows of batch `number`, cut. Raises `InputError` where recordings cannot be used."""
        sounds = [(pair.noisy, pair.clean) for pair in self._pairs.get(number)]
        pairs = encode_pairs(self._codec, sounds)
        return [self._cut.pair(number, place, pair) for place, pair in enumerate(pairs)]

    def close(self) -> None:
        """End threads and processes."""
        self._pairs.close()


def held_out(pairs: Sequence[CodePair], rows: int, cut: Cut, rank: int, count: int) -> list[CodeBatch]:
    """This process's share of the validation batches, each of similar lengths; cut from the beginning."""
    limit = cut.longest if cut.frames is None else min(cut.frames, cut.longest)
    ordered = sorted(pairs, key=lambda pair: pair.clean.shape[1])
    short = [CodePair(pair.noisy[:, :limit], pair.clean[:, :limit]) for pair in ordered]
    return [short[start : start + rows] for start in range(0, len(short), rows)][rank::count]


def mixed_pairs(plan: PairPlan, codec: Codec, rows: int, jobs: int) -> list[CodePair]:
    """Rows 0 to `rows` - 1 of `plan`, encoded."""
    sounds = in_order(make_pair, plan, range(rows), jobs)
    return encode_pairs(codec, [(pair.noisy, pair.clean) for pair in sounds])


def spread(rows: Sequence[int], most: int) -> list[int]:
    """At most `most` of `rows`, evenly spaced."""
    if len(rows) <= most:
        return list(rows)
    return [rows[int(place)] for place in np.linspace(0, len(rows) - 1, most)]
