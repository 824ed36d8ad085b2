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
    """Whether the next batch is one of retries; `retries` says it of every waiting chunk, oldest first.

    First tries go on until retries fill half a batch (a batch of one or two would waste the device), but a
    retry waits for no more first tries than a batch: files are written in order, and all waits for it.
    """
    again = sum(retries)
    oldest = list(retries).index(True) if again else len(retries)
    return again == len(retries) or 2 * again >= size or len(retries) - oldest - again >= size


def halves(batch: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """A batch that did not fit the memory, as two that may."""
    middle = (len(batch) + 1) // 2
    return batch[:middle], batch[middle:]
