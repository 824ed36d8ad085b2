"""Recordings -> codes, encoded as in use; and the cache of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path

import numpy as np

from dacse_cli.interfaces import Codec
from dacse_cli.training.lm.pairs.shards import (
    CodePair,
    Shards,
    missing_shards,
    shard_path,
    shard_rows,
    write_shard,
)
from dacse_cli.training.runs.ahead import in_order
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.sound.folders import PairFiles, digest, read_pair
from dacse_cli.training.sound.level import Samples

TOGETHER = 4
"""Pairs of equal length that are encoded at once."""
Sound = tuple[Samples, Samples]
"""Noisy and clean, [S] each."""
Encoded = Callable[[int, int], None]
"""Called with (pairs encoded by this process, pairs it has to encode)."""


def encode_pairs(codec: Codec, sounds: Sequence[Sound]) -> list[CodePair]:
    """Codes of (noisy [S], clean [S]), in order; each as one recording of its own."""
    coded = []
    for _, group in groupby(sounds, key=lambda sound: len(sound[0])):
        listed = list(group)
        for start in range(0, len(listed), TOGETHER):
            rows = np.stack([side for sound in listed[start : start + TOGETHER] for side in sound])
            codes = codec.encode(rows)  # [2 * pairs, K, T]
            coded += [CodePair(codes[row], codes[row + 1]) for row in range(0, len(codes), 2)]
    return coded


def cached(
    pairs: Sequence[PairFiles],
    codec: Codec,
    codec_sha256: str,
    cache: Path,
    machine: Machine,
    encoded: Encoded | None = None,
    jobs: int = 1,
) -> Shards:
    """The codes of `pairs`; missing ones are encoded into `cache`, each process its share of the shards.

    Recordings are read by `jobs` processes of each. Raises `InputError` for a recording that cannot be read,
    `OutputError`.
    """
    name = hashlib.sha256(f"{digest(pairs)} {codec_sha256}".encode()).hexdigest()[:16]
    folder = cache / name
    with machine.together():
        missing = list(missing_shards(folder, len(pairs), machine.rank, machine.count))
        rows = [row for index in missing for row in shard_rows(len(pairs), index)]
        sounds = in_order(read_pair, (pairs, codec.spec.sample_rate), rows, jobs)
        done = 0
        for index in missing:
            coded: list[CodePair] = []
            for block in _blocks(islice(sounds, len(shard_rows(len(pairs), index))), TOGETHER * 4):
                coded += encode_pairs(codec, block)
                done += len(block)
                if encoded is not None:
                    encoded(done, len(rows))
            write_shard(shard_path(folder, index), coded)
    return Shards(folder, len(pairs))


def _blocks(items: Iterable[Sound], size: int) -> Iterator[list[Sound]]:
    iterator = iter(items)
    while block := list(islice(iterator, size)):
        yield block
