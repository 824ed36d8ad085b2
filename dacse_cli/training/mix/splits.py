"""Train, valid, test: which group of recordings belongs where. Knows names only.

A group goes by a hash of its name, so it stays where it is when others are added, and two corpora that share
a speaker put that speaker in the same split. Noises and room responses are split by the same rule: what a
model is tested with has not been heard in training.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dacse_cli.errors import UsageError


@dataclass(frozen=True)
class Split:
    """One split and its share of everything, 0 < share <= 1."""

    name: str
    share: float


WHOLE = (Split("", 1.0),)
"""No splits: all in one."""


def parse_splits(text: str) -> tuple[Split, ...]:
    """`train=90,valid=5,test=5` -> splits whose shares add up to 1. Raises `UsageError`."""
    weights: dict[str, float] = {}
    for word in text.split(","):
        name, _, number = (part.strip() for part in word.partition("="))
        try:
            weight = float(number)
        except ValueError:
            weight = 0.0
        if not name.replace("-", "").replace("_", "").isalnum() or name in weights or not 0 < weight < 1e9:
            raise UsageError(f"--split {text}: {word!r} is no name=share", hint="train=90,valid=5,test=5")
        weights[name] = weight
    return tuple(Split(name, weight / sum(weights.values())) for name, weight in weights.items())


def assign(groups: Collection[str], splits: tuple[Split, ...], what: str) -> Mapping[str, str]:
    """The split of every group. No split stays empty: the group whose hash lies nearest moves there.

    Raises `UsageError`, naming `what` is split, where there are fewer groups than splits.
    """
    if len(groups) < len(splits):
        raise UsageError(
            f"{len(groups)} {what} cannot be split into {len(splits)}: "
            f"{', '.join(split.name for split in splits)}",
            hint="Give more of them, fewer splits, or --split-by file.",
        )
    places = {group: _place(group) for group in sorted(groups)}
    found = {group: _split_at(place, splits) for group, place in places.items()}
    low = 0.0
    for split in splits:
        middle = low + split.share / 2
        low += split.share
        if split.name not in found.values():
            held = list(found.values())
            movable = [group for group in found if held.count(found[group]) > 1]
            found[min(movable, key=lambda group: abs(places[group] - middle))] = split.name
    return found


def shared_out(count: int, splits: tuple[Split, ...]) -> tuple[int, ...]:
    """`count` in the shares of `splits`, whole numbers that add up to it."""
    edges, total = [0], 0.0
    for split in splits:
        total += split.share
        edges.append(round(count * total))
    return tuple(high - low for low, high in itertools.pairwise(edges))


def _place(group: str) -> float:
    """A number in [0, 1) that only the name decides."""
    digest = hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _split_at(place: float, splits: tuple[Split, ...]) -> str:
    high = 0.0
    for split in splits:
        high += split.share
        if place < high:
            return split.name
    return splits[-1].name
