"""Which waiting chunks go through the language model together. Pure: lengths in, indices out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def pick_batch(lengths: Sequence[int], size: int) -> list[int]:
    """Indices of at most `size` chunks to generate now: the longest, in order of arrival among equals.

    Full chunks are all of one length, so they come together and need no padding; tails follow in the order
    of their lengths, where rows that end early cost nothing because a batch shrinks as its rows finish.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    return order[:size]


def pick_kind(tries: Sequence[bool], size: int) -> bool:
    """Whether the next batch is one of second tries; `tries` says it of every waiting chunk, oldest first.

    First tries go on until second ones fill half a batch (a batch of one or two would waste the device), but
    a second try waits for no more first ones than a batch: files are written in order, behind it all waits.
    """
    again = sum(tries)
    oldest = list(tries).index(True) if again else len(tries)
    return again == len(tries) or 2 * again >= size or len(tries) - oldest - again >= size


def halves(batch: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """A batch that could not be generated, as two that may."""
    middle = (len(batch) + 1) // 2
    return batch[:middle], batch[middle:]
