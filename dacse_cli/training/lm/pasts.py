"""The past codes that a model is trained on, and the targets after wrong ones (exposure bias).

Greedy generation reads its own output. A past that is always right teaches a model to trust it; a past with
noisy codes, random codes, or the model's own likeliest ones (parallel scheduled sampling, Duckworth et al.
2019) teaches it to look at the noisy side again. A residual quantizer's later codes encode the residual of
earlier ones: once an earlier code of a frame is wrong, the clean later codes no longer fit, but the codec can
compute which do (imitation of an expert that can be queried in any state: Ross, Gordon and Bagnell 2011).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers import DacModel, DynamicCache, LlamaForCausalLM, LlamaModel

from dacse_cli.tokens.layout import BOS, SPECIALS, START_CLEAN, TokenLayout
from dacse_cli.training.lm.batch import flatten
from dacse_cli.training.lm.pairs.recipe import Corruption

CACHE = "cache" if "cache" in signature(LlamaModel.forward).parameters else "past_key_values"
"""Name of the key-value cache argument in this version of transformers."""
Answer: TypeAlias = Callable[[Tensor], Tensor]
"""A past [B, K, T] -> the likeliest codes [B, K, T] after it."""


def corrupt(
    clean: Tensor,
    noisy: Tensor,
    size: int,
    options: Corruption,
    generator: torch.Generator,
    answer: Answer,
) -> Tensor:
    """Codes [B, K, T] to show in place of `clean`; each code is replaced in one way at most.

    `generator` is on the CPU whatever device the codes are on, so that draws do not depend on the device.
    """
    if options.total == 0:
        return clean
    B = len(clean)
    strength = torch.rand(B, 1, 1, generator=generator) if options.drawn else torch.ones(B, 1, 1)
    draw = (torch.rand(clean.shape, generator=generator) / strength.clamp(min=1e-9)).to(clean.device)
    anything = torch.randint(0, size, clean.shape, generator=generator).to(clean.device)
    read = torch.where(draw < options.noisy, noisy, clean)
    read = torch.where((draw >= options.noisy) & (draw < options.noisy + options.random), anything, read)
    if options.own:
        places = (draw >= options.noisy + options.random) & (draw < options.total)
        for _ in range(options.passes):
            read = torch.where(places, answer(read), read)
        # older torch keeps weights cast without gradients for the training pass of the same autocast
        torch.clear_autocast_cache()
    return read


class ResidualTargets:
    """Targets from the codebooks of `codec`, with the latents of the clean codes."""

    def __init__(self, codec: DacModel) -> None:
        self._quantizers: Any = codec.quantizer.quantizers.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, clean: Tensor, read: Tensor) -> Tensor:
        """Targets [B, K, T]: `clean` where the frame's codes so far in `read` are clean, else the nearest.

        `clean` and `read` are codes [B, K, T]. Always computed in float32: in bfloat16 the constant of
        averaged codebooks (`codec.codebooks`) hides the differences between codes, and 74 % of all looked-up
        targets were wrong.
        """
        with torch.autocast(clean.device.type, enabled=False):
            residual = self._latent(clean)  # [B, H, T]
            right = torch.ones_like(clean[:, 0], dtype=torch.bool)
            targets = []
            for k, quantizer in enumerate(self._quantizers):
                _, nearest = quantizer.decode_latents(quantizer.in_proj(residual))
                targets.append(torch.where(right, clean[:, k], nearest))
                right = right & (read[:, k] == clean[:, k])
                residual = residual - self._vector(k, read[:, k])
            return torch.stack(targets, dim=1)

    def _latent(self, codes: Tensor) -> Tensor:
        return torch.stack([self._vector(k, codes[:, k]) for k in range(codes.shape[1])]).sum(0)

    def _vector(self, k: int, codes: Tensor) -> Tensor:
        """Codes [B, T] of codebook k -> their contribution to the latent [B, H, T]."""
        quantizer = self._quantizers[k]
        vectors: Tensor = quantizer.out_proj(quantizer.codebook(codes).transpose(1, 2))
        return vectors


@dataclass(frozen=True)
class FreeAnswers:
    """Sums over answers: codes that are right, those that repeat the frame before, and codes in all."""

    right: int
    repeated: int
    codes: int


@torch.no_grad()
def answer_freely(model: LlamaForCausalLM, noisy: Tensor, layout: TokenLayout) -> Tensor:
    """Greedy codes [B, K, T] after noisy ones [B, K, T], each among those of its codebook.

    Teacher-forced accuracy can rise while free generation gets stuck, so both are measured. A plain loop over
    `transformers`' cache: a measure for a few short pairs, not the engine.
    """
    B, K, T = noisy.shape
    N = layout.codebook_size
    sides = (noisy.new_full((B, 1), BOS), flatten(noisy, N), noisy.new_full((B, 1), START_CLEAN))
    ids, cache = torch.cat(sides, dim=1), DynamicCache()
    heads = model.lm_head.weight[SPECIALS:].view(K, N, -1)
    written = []
    for place in range(K * T):
        hidden = model.model(input_ids=ids, **{CACHE: cache}, use_cache=True).last_hidden_state
        codes = (hidden[:, -1] @ heads[place % K].t()).argmax(-1)  # [B]
        written.append(codes)
        ids = (codes + SPECIALS + N * (place % K))[:, None]
    return torch.stack(written, dim=1).view(B, T, K).transpose(1, 2)


def compare(answer: Tensor, clean: Tensor, frames: Sequence[int]) -> FreeAnswers:
    """Counts over the first `frames` of each row of `answer` [B, K, T]."""
    right = repeated = codes = 0
    for written, wanted, own in zip(answer, clean, frames, strict=True):
        right += int((written[:, :own] == wanted[:, :own]).sum())
        repeated += int((written[:, 1:own] == written[:, : own - 1]).sum())
        codes += written[:, :own].numel()
    return FreeAnswers(right, repeated, codes)
