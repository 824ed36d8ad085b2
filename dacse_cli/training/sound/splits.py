"""Training, validation, test: which group of recordings belongs to which set.

A hash of its name decides, so a group stays in its set when others are added, and two corpora that share a
speaker put that speaker into the same set. `dacse mix` splits noises and room responses by the same rule, so
that no test material was part of the training; trainings of codecs and filters hold out speech alone.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dacse_cli.errors import NoInputError, UsageError
from dacse_cli.training.sound.recordings import Files, Recording, Refused, look


@dataclass(frozen=True)
class Split:
    """One split and its share of everything, 0 < share <= 1."""

    name: str
    share: float


WHOLE = (Split("", 1.0),)
"""No splits: everything in one set."""


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
            raise UsageError(
                f"`splits` {text}: {word!r} is not name=share", hint="For example: train=90,valid=5,test=5."
            )
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
            hint='Give more of them, fewer splits, or `split_by="file"`.',
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


@dataclass(frozen=True)
class Divided:
    """Recordings to train on, recordings held out, and files that cannot be used."""

    train: tuple[Recording, ...]
    valid: tuple[Recording, ...]
    refused: tuple[Refused, ...]


def divide(files: Files, rate: int, seconds: float, held_out: float) -> Divided:
    """The recordings in `files` that last `seconds`, a share `held_out` of their speakers held out.

    Where that share is less than one speaker, recordings are held out instead: a folder with many voices must
    not be removed from training as a whole. Raises `NoInputError` where none is long enough.
    """
    found, refused = look(files)
    long = tuple(recording for recording in found if recording.samples_at(rate) >= round(seconds * rate))
    if not long:
        raise NoInputError(f"none of the {len(files)} recordings lasts {seconds:g} s")
    speakers = {recording.speaker for recording in long}
    by_speaker = by_speakers(speakers, held_out)
    group = {r.name: r.speaker if by_speaker else r.name for r in long}
    if held_out == 0 or len(long) < 2:
        return Divided(long, (), refused)
    splits = assign(
        set(group.values()), (Split("train", 1 - held_out), Split("valid", held_out)), "recordings"
    )
    train = tuple(r for r in long if splits[group[r.name]] == "train")
    return Divided(train, tuple(r for r in long if splits[group[r.name]] == "valid"), refused)


def by_speakers(speakers: Collection[str], held_out: float) -> bool:
    """Whether a share `held_out` can be kept by speakers: it is at least one of several."""
    return len(speakers) > 1 and held_out * len(speakers) >= 1


def shared_out(count: int, splits: tuple[Split, ...]) -> tuple[int, ...]:
    """`count` divided by the shares of `splits`, into whole numbers that add up to it."""
    edges, total = [0], 0.0
    for split in splits:
        total += split.share
        edges.append(round(count * total))
    return tuple(high - low for low, high in itertools.pairwise(edges))


def _place(group: str) -> float:
    """A number in [0, 1) that depends on the name only."""
    digest = hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _split_at(place: float, splits: tuple[Split, ...]) -> str:
    high = 0.0
    for split in splits:
        high += split.share
        if place < high:
            return split.name
    return splits[-1].name
