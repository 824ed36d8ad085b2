"""Codes of pairs of different lengths -> what a model reads, and where it answers.

The layout is `tokens.layout`'s: bos, noisy ids, start_clean, clean ids. Rows are padded behind their end,
where no position before can look, so no mask is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dacse_cli.tokens.layout import BOS, PAD, SPECIALS, START_CLEAN
from dacse_cli.training.llama.shards import CodePair


@dataclass(frozen=True)
class Batch:
    """Codes [B, K, T] of both sides, zeros behind the end of a row; `frames` of each row."""

    noisy: Tensor
    clean: Tensor
    frames: tuple[int, ...]

    @property
    def answers(self) -> int:
        """Codes that are asked for."""
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


def collate(pairs: Sequence[CodePair], device: torch.device) -> Batch:
    """One batch on `device`."""
    frames = tuple(pair.clean.shape[1] for pair in pairs)
    K = pairs[0].clean.shape[0]
    sides = np.zeros((2, len(pairs), K, max(frames)), np.int64)
    for row, pair in enumerate(pairs):
        sides[0, row, :, : frames[row]] = pair.noisy
        sides[1, row, :, : frames[row]] = pair.clean
    noisy, clean = torch.from_numpy(sides).to(device)
    return Batch(noisy, clean, frames)


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


def answer_places(frames: Sequence[int], n_codebooks: int, device: torch.device) -> Tensor:
    """Positions [sum of K*T] in the flattened batch whose next id is a clean code, row after row."""
    length = 2 * n_codebooks * max(frames) + 2
    first = [row * length + n_codebooks * own + 1 for row, own in enumerate(frames)]
    parts = [torch.arange(at, at + n_codebooks * own) for at, own in zip(first, frames, strict=True)]
    return torch.cat(parts).to(device)


def end_places(frames: Sequence[int], n_codebooks: int, device: torch.device) -> Tensor:
    """Positions [B] in the flattened batch whose next id is eos."""
    length = 2 * n_codebooks * max(frames) + 2
    ends = [row * length + 2 * n_codebooks * own + 1 for row, own in enumerate(frames)]
    return torch.tensor(ends, device=device)


def time_major(codes: Tensor, frames: Sequence[int]) -> Tensor:
    """Codes [B, K, T] -> those of all frames that are there [sum of T, K], row after row."""
    return torch.cat([codes[row, :, :own].t() for row, own in enumerate(frames)])


def by_row(listed: Tensor, frames: Sequence[int]) -> Tensor:
    """Inverse of `time_major`: [sum of T, K] -> [B, K, T]."""
    rows = torch.split(listed, list(frames))
    codes = listed.new_zeros(len(frames), listed.shape[1], max(frames))
    for row, part in enumerate(rows):
        codes[row, :, : len(part)] = part.t()
    return codes
