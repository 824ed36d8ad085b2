"""How requests of mixed lengths share one batch: pure planning, integers to integers.

Rows are sorted so that those with most tokens to write come first: finished rows are then always the last
ones, and a step works on a prefix of the batch. All prompts end at one slot of the cache, so that every row
writes its next position into the same slot; a shorter prompt leaves unused slots before it.

    slot      0 ............ end .............. positions
    row 0     p p p p p p p p n n n n n n n n n
    row 1     . . . p p p p p n n n n n
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class BatchPlan:
    """Rows in working order: row r serves request `order[r]`, of `prompts[r]` and `news[r]` ids."""

    order: tuple[int, ...]
    prompts: tuple[int, ...]
    news: tuple[int, ...]

    @property
    def rows(self) -> int:
        return len(self.order)

    @property
    def end(self) -> int:
        """The slot of the first generated token: the longest prompt's length."""
        return max(self.prompts)

    @property
    def steps(self) -> int:
        """Tokens the longest-running row writes."""
        return self.news[0]

    @property
    def positions(self) -> int:
        """Slots the cache needs: the last token written is never read again."""
        return self.end + self.steps - 1

    @property
    def pads(self) -> tuple[int, ...]:
        """Unused slots before each row's prompt."""
        return tuple(self.end - length for length in self.prompts)

    def alive(self) -> list[int]:
        """For every step, how many rows still write a token (a shrinking prefix)."""
        counts = []
        rows = self.rows
        for step in range(self.steps):
            while self.news[rows - 1] <= step:
                rows -= 1
            counts.append(rows)
        return counts

    def prefill(self, token_budget: int) -> list[range]:
        """Neighbouring rows with equal prompts, at most `token_budget` prompt tokens (or one row) each."""
        passes: list[range] = []
        start = 0
        for row in range(1, self.rows + 1):
            full = (row - start + 1) * self.prompts[start] > token_budget
            if row == self.rows or self.prompts[row] != self.prompts[start] or full:
                passes.append(range(start, row))
                start = row
        return passes


def plan_batch(prompts: Sequence[int], news: Sequence[int]) -> BatchPlan | None:
    """Plan for requests of these lengths; requests of no new tokens are left out, None if all are."""
    order = sorted((i for i, n in enumerate(news) if n > 0), key=lambda i: (-news[i], -prompts[i], i))
    if not order:
        return None
    return BatchPlan(tuple(order), tuple(prompts[i] for i in order), tuple(news[i] for i in order))
