"""Attention over the cache: what a decode step needs of it, and the form that runs on every device.

`StepAttention` is the interface the rungs share; `PrefixAttention` is torch's fused kernel (SDPA) on a
slice of the cache. The CPU's own kernel is used by `host.py`, the CUDA rung lives in `graphs.py`. Heads may
share keys and values (GQA).
"""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from dacse_cli.lm.arena import Cache


class StepAttention(Protocol):
    """Stores the new positions of every row and attends over all positions stored so far."""

    def __call__(self, layer: int, heads: Tensor) -> Tensor:
        """heads `[N, Hq + 2 * H, D]`: queries, new keys, new values, rotated -> `[N, Hq * D]`.

        N is one new token a row; for attention that takes several, row by row.
        """


def split_heads(heads: Tensor, kv_heads: int) -> tuple[Tensor, Tensor]:
    """`[..., Hq + 2 * H, D]` -> queries `[..., Hq, D]`, keys and values `[..., 2, H, D]`."""
    queries = heads.shape[-2] - 2 * kv_heads
    kv = heads[..., queries:, :].view(*heads.shape[:-2], 2, kv_heads, heads.shape[-1])
    return heads[..., :queries, :], kv


class PrefixAttention:
    """Reads exactly the valid slots: `cache` `[layers, 2, B, H, L, D]` ends with the slot being written.

    `mask` `[B, 1, 1, L]` (0 or -inf) exists only where prompts differ in length: it takes torch off its
    fastest path.
    """

    def __init__(self, cache: Tensor, mask: Tensor | None) -> None:
        # one operation for all layers instead of one a layer
        self.slots = cache[..., -1, :].unbind(0)
        self.keys, self.values = cache[:, 0].unbind(0), cache[:, 1].unbind(0)
        self.mask = mask

    def __call__(self, layer: int, heads: Tensor) -> Tensor:
        q, kv = split_heads(heads, self.keys[layer].shape[1])
        self.slots[layer].copy_(kv.transpose(0, 1))
        return step_attention(q, self.keys[layer], self.values[layer], self.mask).flatten(1)


class RoundedPrefixAttention:
    """As `PrefixAttention`, over a rounded cache: what is valid of it is made the network's numbers again."""

    def __init__(self, cache: Cache, mask: Tensor | None) -> None:
        self.cache, self.mask = cache, mask

    def __call__(self, layer: int, heads: Tensor) -> Tensor:
        q, kv = split_heads(heads, self.cache.values.shape[3])
        self.cache.append(layer, kv)
        mask = None if self.mask is None else self.mask.to(q.dtype)
        return step_attention(q, *self.cache.read(layer, q.dtype), mask).flatten(1)


def prefill_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention of a prompt with itself: q `[B, Hq, P, D]`, k and v `[B, H, P, D]` -> like q."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])


def step_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """One new query a row: q `[B, Hq, D]`, k and v `[B, H, L, D]`, mask `[B, 1, 1, L]` -> `[B, Hq, D]`.

    The query heads of one key head are passed as its rows: no causality is needed among them, and keys are
    read once for the whole group.
    """
    B, H = k.shape[:2]
    out = F.scaled_dot_product_attention(q.view(B, H, -1, q.shape[-1]), k, v, attn_mask=mask)
    return out.reshape(q.shape)
