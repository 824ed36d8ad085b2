"""Codes of many pairs on disk: shards of safetensors, memory-mapped.

A shard holds `noisy` and `clean` int16 [sum of T, K], time-major so that a pair is contiguous, and `starts`
int64 [pairs + 1]. A shard is written atomically; existing ones are not made again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dacse_cli.errors import InputError
from dacse_cli.files.atomic import write_bytes_atomically

ROWS_A_SHARD = 2048
"""4 s pairs of the released codec make 26 MB."""
Codes = NDArray[Any]
"""int16 codes, or float32 latents."""


@dataclass(frozen=True)
class CodePair:
    """Codes of both sides [K, T]."""

    noisy: Codes
    clean: Codes


def shard_path(folder: Path, index: int) -> Path:
    """Path of shard `index`."""
    return folder / f"{index:05d}.safetensors"


def shard_rows(rows: int, index: int) -> range:
    """Rows of shard `index` out of `rows` in total."""
    return range(index * ROWS_A_SHARD, min(rows, (index + 1) * ROWS_A_SHARD))


def shard_count(rows: int) -> int:
    """Number of shards for `rows` rows."""
    return -(-rows // ROWS_A_SHARD)


def write_shard(path: Path, pairs: Sequence[CodePair]) -> None:
    """Write a shard. Raises `OutputError`."""
    starts = np.asarray([0, *accumulate(pair.clean.shape[1] for pair in pairs)], np.int64)
    tensors = {
        side: np.ascontiguousarray(np.concatenate([getattr(pair, side).T for pair in pairs]))
        for side in ("noisy", "clean")
    }
    write_bytes_atomically(path, save({**tensors, "starts": starts}))


class Shards:
    """All pairs of a folder of shards, by row."""

    def __init__(self, folder: Path, rows: int) -> None:
        """Open shards that hold `rows` rows. Raises `InputError` for a damaged one."""
        self._files, self._starts, self._first = [], [], []
        for index in range(shard_count(rows)):
            file, starts = _open(shard_path(folder, index))
            if len(starts) - 1 != len(shard_rows(rows, index)):
                raise _damaged(shard_path(folder, index), f"{len(starts) - 1} rows")
            self._files.append(file)
            self._starts.append(starts)
            self._first.append(index * ROWS_A_SHARD)

    def lengths(self) -> list[int]:
        """Frames of every row."""
        return [int(frames) for starts in self._starts for frames in np.diff(starts)]

    def read(self, row: int, start: int = 0, frames: int | None = None) -> CodePair:
        """Codes of `row`, or `frames` of them from frame `start`."""
        shard = bisect_right(self._first, row) - 1
        low, high = self._starts[shard][row - self._first[shard] :][:2]
        low, high = int(low) + start, int(high)
        if frames is not None:
            high = min(high, low + frames)
        noisy, clean = (self._files[shard].get_slice(side)[low:high].T for side in ("noisy", "clean"))
        return CodePair(noisy, clean)


def missing_shards(folder: Path, rows: int, rank: int, count: int) -> Iterator[int]:
    """Missing shards that process `rank` of `count` has to make."""
    for index in range(rank, shard_count(rows), count):
        if not shard_path(folder, index).exists():
            yield index


def _open(path: Path) -> tuple[Any, NDArray[np.int64]]:
    try:
        file = safe_open(path, framework="numpy")
        starts = file.get_tensor("starts")  # type: ignore[no-untyped-call]
        sides = [file.get_slice(side) for side in ("noisy", "clean")]  # type: ignore[no-untyped-call]
        whole = all(side.get_shape()[0] == starts[-1] for side in sides)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, str(error)) from error
    if not whole:
        raise _damaged(path, "sides of different lengths")
    return file, starts


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path}: {why}", reason="bad-cache", hint="Delete it: it is made again.")
