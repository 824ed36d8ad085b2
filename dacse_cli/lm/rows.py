"""How requests of mixed lengths share one batch: pure planning, integers to integers.

Rows are sorted so that those with most tokens to write come first: finished rows are then always the last
ones, and a step works on a prefix of the batch. Where attention needs all prompts to end at one slot of the
cache, a shorter prompt leaves unused slots before it (`pads`).

    slot      0 ............ end .............. positions
    row 0     p p p p p p p p n n n n n n n n n
    row 1     . . . p p p p p n n n n n

A `FixedShape` gives up this saving so that results do not depend on the other rows: floating-point sums
change with the shape of the operands, so every batch has the same shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FixedShape:
    """The shape of every batch: its rows, its longest prompt, its slots per row."""

    rows: int
    end: int
    positions: int


NOBODY = -1
"""In `BatchPlan.order`: a row that only fills a fixed shape, one token in and one out."""


@dataclass(frozen=True)
class BatchPlan:
    """Rows in working order: row r serves request `order[r]`, of `prompts[r]` and `news[r]` ids."""

    order: tuple[int, ...]
    prompts: tuple[int, ...]
    news: tuple[int, ...]
    fixed: FixedShape | None = None

    @property
    def rows(self) -> int:
        return len(self.order)

    @property
    def end(self) -> int:
        """The slot of the first generated token: the longest prompt's length."""
        return self.fixed.end if self.fixed else max(self.prompts)

    @property
    def steps(self) -> int:
        """Tokens the longest-running row writes."""
        return self.news[0]

    @property
    def positions(self) -> int:
        """Slots that the cache needs: one fewer than tokens, because the last token is never read."""
        return self.fixed.positions if self.fixed else self.end + self.steps - 1

    @property
    def pads(self) -> tuple[int, ...]:
        """Unused slots before each row's prompt."""
        return tuple(self.end - length for length in self.prompts)

    @property
    def mixed(self) -> bool:
        """Whether rows are treated as of different lengths."""
        return self.fixed is not None or any(self.pads)

    def alive(self) -> list[int]:
        """For every step, how many rows still write a token (a shrinking prefix; all, of a fixed shape)."""
        counts = []
        rows = self.rows
        for step in range(self.steps):
            while not self.fixed and self.news[rows - 1] <= step:
                rows -= 1
            counts.append(rows)
        return counts

    def prefill(self, token_budget: int) -> list[range]:
        """Neighbouring rows with equal prompts, at most `token_budget` prompt tokens (or one row) each."""
        if self.fixed:
            return [range(row, row + 1) for row in range(self.rows)]
        passes: list[range] = []
        start = 0
        for row in range(1, self.rows + 1):
            full = (row - start + 1) * self.prompts[start] > token_budget
            if row == self.rows or self.prompts[row] != self.prompts[start] or full:
                passes.append(range(start, row))
                start = row
        return passes


def plan_batch(
    prompts: Sequence[int], news: Sequence[int], fixed: FixedShape | None = None
) -> BatchPlan | None:
    """Plan for requests of these lengths; requests of no new tokens are left out, None if all are.

    Raises `ValueError` for more or longer requests than a fixed shape holds.
    """
    order = sorted((i for i, n in enumerate(news) if n > 0), key=lambda i: (-news[i], -prompts[i], i))
    if not order:
        return None
    lengths, writes = [prompts[i] for i in order], [news[i] for i in order]
    if fixed is not None:
        longest = max(p + n - 1 for p, n in zip(lengths, writes, strict=True))
        spare = fixed.rows - len(order)
        if spare < 0 or max(lengths) > fixed.end or fixed.end + max(writes) - 1 > fixed.positions:
            raise ValueError(f"{len(order)} rows of up to {longest} positions do not fit {fixed}")
        order, lengths, writes = order + [NOBODY] * spare, lengths + [1] * spare, writes + [1] * spare
    return BatchPlan(tuple(order), tuple(lengths), tuple(writes), fixed)
