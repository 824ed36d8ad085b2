"""Which waiting chunks are translated together. Pure: lengths in, indices out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def pick_batch(lengths: Sequence[int], size: int) -> list[int]:
    """Indices of at most `size` chunks to translate now: the longest, in order of arrival among equals.

    Full chunks are all of one length, so they come together and need no padding; tails follow in the order
    of their lengths, where rows that end early cost nothing because a batch shrinks as its rows finish.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    return order[:size]


def pick_retries(retries: Sequence[bool], size: int) -> bool:
    """Whether the next batch is of retries; `retries` marks them among the waiting chunks, oldest first.

    First tries have priority until retries fill half a batch (a batch of one or two would waste the device),
    but a retry waits for at most one batch of first tries: files are written in order, so later chunks wait
    for it.
    """
    again = sum(retries)
    oldest = list(retries).index(True) if again else len(retries)
    return again == len(retries) or 2 * again >= size or len(retries) - oldest - again >= size


def halves(batch: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Split a batch that did not fit the memory into two halves."""
    middle = (len(batch) + 1) // 2
    return batch[:middle], batch[middle:]
