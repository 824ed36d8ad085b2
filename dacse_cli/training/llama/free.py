"""Answering freely: what a model writes when it reads its own codes, as it will in use.

Teacher-forced accuracy can rise while free answers get stuck, so both are measured. A plain greedy loop over
`transformers`' cache: a measure for a few short pairs, not the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, LlamaForCausalLM

from dacse_cli.tokens.layout import BOS, SPECIALS, START_CLEAN, TokenLayout
from dacse_cli.training.llama.batch import flatten


@dataclass(frozen=True)
class Freely:
    """Sums over answers: codes that are right, those that repeat the frame before, and codes in all."""

    right: int
    repeated: int
    codes: int


@torch.no_grad()
def answer_freely(model: LlamaForCausalLM, noisy: Tensor, layout: TokenLayout) -> Tensor:
    """Greedy codes [B, K, T] after noisy ones [B, K, T], each among those of its codebook."""
    B, K, T = noisy.shape
    N = layout.codebook_size
    sides = (noisy.new_full((B, 1), BOS), flatten(noisy, N), noisy.new_full((B, 1), START_CLEAN))
    ids, cache = torch.cat(sides, dim=1), DynamicCache()
    heads = model.lm_head.weight[SPECIALS:].view(K, N, -1)
    written = []
    for place in range(K * T):
        hidden = model.model(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
        codes = (hidden[:, -1] @ heads[place % K].t()).argmax(-1)  # [B]
        written.append(codes)
        ids = (codes + SPECIALS + N * (place % K))[:, None]
    return torch.stack(written, dim=1).view(B, T, K).transpose(1, 2)


def compare(answer: Tensor, clean: Tensor, frames: Sequence[int]) -> Freely:
    """How `answer` [B, K, T] fares, the first `frames` of each row."""
    right = repeated = codes = 0
    for said, meant, own in zip(answer, clean, frames, strict=True):
        right += int((said[:, :own] == meant[:, :own]).sum())
        repeated += int((said[:, 1:own] == said[:, : own - 1]).sum())
        codes += said[:, :own].numel()
    return Freely(right, repeated, codes)
