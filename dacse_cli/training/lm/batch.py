"""Codes of pairs of different lengths -> a model's input, and the positions of its answers.

The layout is that of `tokens.layout`: bos, noisy ids, start_clean, clean ids. Rows are padded at their end,
where causal attention does not look, so no mask is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dacse_cli.tokens.layout import BOS, PAD, SPECIALS, START_CLEAN
from dacse_cli.training.lm.pairs.shards import CodePair
from dacse_cli.training.runs.machine import Machine


@dataclass(frozen=True)
class Batch:
    """One batch on the device; it holds everything a step needs from the host, so nothing is copied later."""

    noisy: Tensor
    """Codes [B, K, T], zeros after the end of a row,"""
    clean: Tensor
    """and the clean codes in the same form."""
    frames: tuple[int, ...]
    """Frames of each row."""
    answers_at: Tensor
    """Positions [sum of K*T] in the flattened batch whose next id is a clean code, row after row."""
    ends_at: Tensor
    """Positions [B] in the flattened batch whose next id is eos."""

    @property
    def answers(self) -> int:
        """Number of codes to predict."""
        return self.clean.shape[1] * sum(self.frames)

    @property
    def tokens(self) -> int:
        """Ids read and written."""
        return 2 * self.answers + 3 * len(self.frames)


def flatten(codes: Tensor, codebook_size: int) -> Tensor:
    """Codes [B, K, T] -> ids [B, T*K], time-major."""
    B, K, T = codes.shape
    first_ids = SPECIALS + codebook_size * torch.arange(K, device=codes.device)
    return (codes + first_ids[None, :, None]).transpose(1, 2).reshape(B, T * K)


def collate(pairs: Sequence[CodePair], machine: Machine) -> Batch:
    """One batch on the machine's device."""
    frames = tuple(pair.clean.shape[1] for pair in pairs)
    K = pairs[0].clean.shape[0]
    sides = np.zeros((2, len(pairs), K, max(frames)), np.int64)
    for row, pair in enumerate(pairs):
        sides[0, row, :, : frames[row]] = pair.noisy
        sides[1, row, :, : frames[row]] = pair.clean
    noisy, clean = machine.tensor(sides)
    answers_at, ends_at = (machine.tensor(places) for places in _places(frames, K))
    return Batch(noisy, clean, frames, answers_at, ends_at)


def _places(frames: Sequence[int], n_codebooks: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`answers_at` and `ends_at` of a batch."""
    length = 2 * n_codebooks * max(frames) + 2
    first = [row * length + n_codebooks * own + 1 for row, own in enumerate(frames)]
    spans = [np.arange(at, at + n_codebooks * own) for at, own in zip(first, frames, strict=True)]
    ends = [at + n_codebooks * own for at, own in zip(first, frames, strict=True)]
    return np.concatenate(spans), np.asarray(ends, np.int64)


def input_ids(noisy: Tensor, read: Tensor, frames: Sequence[int], codebook_size: int) -> Tensor:
    """Ids [B, 2*K*T + 2] of rows whose past is `read`, T the longest; a shorter row ends in padding."""
    B, K, T = noisy.shape
    ids = noisy.new_full((B, 2 * K * T + 2), PAD)
    ids[:, 0] = BOS
    sides = flatten(noisy, codebook_size), flatten(read, codebook_size)
    for row, own in enumerate(frames):
        n = K * own
        ids[row, 1 : n + 1] = sides[0][row, :n]
        ids[row, n + 1] = START_CLEAN
        ids[row, n + 2 : 2 * n + 2] = sides[1][row, :n]
    return ids


def time_major(codes: Tensor, frames: Sequence[int]) -> Tensor:
    """Codes [B, K, T] -> those of all real frames [sum of T, K], row after row."""
    return torch.cat([codes[row, :, :own].t() for row, own in enumerate(frames)])


def by_row(listed: Tensor, frames: Sequence[int]) -> Tensor:
    """Inverse of `time_major`: [sum of T, K] -> [B, K, T]."""
    rows = torch.split(listed, list(frames))
    codes = listed.new_zeros(len(frames), listed.shape[1], max(frames))
    for row, part in enumerate(rows):
        codes[row, :, : len(part)] = part.t()
    return codes
