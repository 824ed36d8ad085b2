"""Pairs of units of different lengths -> tensors on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dacse_cli.training.lm.pairs.shards import CodePair
from dacse_cli.training.runs.machine import Machine


@dataclass(frozen=True)
class Batch:
    """Units `[B, T, U]` of both sides, zeros after the end of a row: codes int64 or latents float32."""

    noisy: Tensor
    clean: Tensor
    frames: tuple[int, ...]
    """Frames of each row."""
    lengths: Tensor | None
    """The same `[B]` on the device; None where all rows have T."""
    real: Tensor
    """Indices `[sum of frames]` of real frames in the flattened `[B * T]`."""

    @property
    def total(self) -> int:
        """Real frames."""
        return sum(self.frames)


def collate(pairs: Sequence[CodePair], machine: Machine, books: int | None = None) -> Batch:
    """One batch; of codes, the first `books` codebooks (None: all)."""
    frames = tuple(pair.clean.shape[1] for pair in pairs)
    T, kept = max(frames), pairs[0].clean[:books].shape[0]
    whole = np.issubdtype(pairs[0].clean.dtype, np.integer)
    sides = np.zeros((2, len(pairs), T, kept), np.int64 if whole else np.float32)
    for row, pair in enumerate(pairs):
        sides[0, row, : frames[row]] = pair.noisy[:books].T
        sides[1, row, : frames[row]] = pair.clean[:books].T
    noisy, clean = machine.tensor(sides)
    lengths = machine.tensor(np.asarray(frames)) if min(frames) < T else None
    real = np.concatenate([np.arange(row * T, row * T + own) for row, own in enumerate(frames)])
    return Batch(noisy, clean, frames, lengths, machine.tensor(real))


def at_real_frames(values: Tensor, batch: Batch) -> Tensor:
    """`[B, T, ...]` -> `[sum of frames, ...]`, row after row."""
    flat = values.flatten(0, 1)
    return flat if batch.lengths is None else torch.index_select(flat, 0, batch.real)
