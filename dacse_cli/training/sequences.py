"""Codes -> what the language model reads and what it shall write, as tensors of many rows.

The layout is `tokens.layout`'s: bos, noisy ids, start_clean, clean ids. All rows of a batch have one
length, so nothing is padded. The loss is taken on the clean ids alone, each among the ids of its own
codebook: generation never allows others, and a head of `codebook_size` columns costs a K-th of one of the
whole vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from dacse_cli.tokens.layout import BOS, SPECIALS, START_CLEAN


def flatten(codes: Tensor, codebook_size: int) -> Tensor:
    """Codes [B, K, T] -> ids [B, T*K], time-major."""
    B, K, T = codes.shape
    first_ids = SPECIALS + codebook_size * torch.arange(K)
    return (codes + first_ids[None, :, None]).transpose(1, 2).reshape(B, T * K)


def training_ids(noisy: Tensor, clean: Tensor, codebook_size: int) -> Tensor:
    """Codes [B, K, T] of both sides -> input ids [B, 2*K*T + 1]; the last clean id is only ever a target."""
    bos = torch.full((len(noisy), 1), BOS)
    start = torch.full((len(noisy), 1), START_CLEAN)
    sides = (bos, flatten(noisy, codebook_size), start, flatten(clean, codebook_size)[:, :-1])
    return torch.cat(sides, dim=1)


def code_logits(model: LlamaForCausalLM, noisy: Tensor, clean: Tensor, codebook_size: int) -> Tensor:
    """Logits [B, K, T, N] of each clean code given the noisy codes and the clean ones before it."""
    B, K, T = noisy.shape
    ids = training_ids(noisy, clean, codebook_size)
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, K * T + 1 :]
    head = model.lm_head.weight[SPECIALS:].view(K, codebook_size, -1)
    return torch.einsum("btkh,knh->bktn", hidden.reshape(B, T, K, -1), head).float()


def blemish(
    clean: Tensor, noisy: Tensor, codebook_size: int, most: float, generator: torch.Generator
) -> Tensor:
    """Clean codes [B, K, T] with some replaced, at most a share `most` of a row.

    Two thirds take the noisy code of their place, the others any code: mistakes a greedy generation makes
    and teacher forcing never shows.
    """
    share = torch.rand(len(clean), 1, 1, generator=generator) * most
    draw = torch.rand(clean.shape, generator=generator)
    anything = torch.randint(0, codebook_size, clean.shape, generator=generator)
    return torch.where(draw < share * 2 / 3, noisy, torch.where(draw < share, anything, clean))
