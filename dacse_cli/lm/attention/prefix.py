"""Attention over the cache by torch's own kernel, on every device; and the interface all kernels share.

`PrefixAttention` calls `scaled_dot_product_attention` (SDPA) on the filled part of the cache. Several query
heads may share one key head (grouped-query attention).
"""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from dacse_cli.lm.attention.cache import Cache


class BackendUnavailableError(Exception):
    """A kernel, or a way of decoding, cannot run here; the text says why."""


class StepAttention(Protocol):
    """Stores the keys and values of new tokens and attends over all tokens stored so far."""

    def __call__(self, layer: int, heads: Tensor) -> Tensor:
        """heads `[N, Hq + 2 * H, D]`: queries, new keys, new values -> `[N, Hq * D]`.

        N is the number of rows, or rows times tokens (row by row) for kernels that take several tokens.
        """


def split_heads(heads: Tensor, kv_heads: int) -> tuple[Tensor, Tensor]:
    """`[..., Hq + 2 * H, D]` -> queries `[..., Hq, D]`, keys and values `[..., 2, H, D]`."""
    queries = heads.shape[-2] - 2 * kv_heads
    kv = heads[..., queries:, :].view(*heads.shape[:-2], 2, kv_heads, heads.shape[-1])
    return heads[..., :queries, :], kv


class PrefixAttention:
    """Reads the filled slots only: `cache` `[layers, 2, B, H, L, D]` ends with the slot to be written.

    `mask` `[B, 1, 1, L]` (0 or -inf) is given only where prompts differ in length, because torch's fastest
    kernels take none.
    """

    def __init__(self, cache: Tensor, mask: Tensor | None) -> None:
        # one operation for all layers instead of one per layer
        self.slots = cache[..., -1, :].unbind(0)
        self.keys, self.values = cache[:, 0].unbind(0), cache[:, 1].unbind(0)
        self.mask = mask

    def __call__(self, layer: int, heads: Tensor) -> Tensor:
        q, kv = split_heads(heads, self.keys[layer].shape[1])
        self.slots[layer].copy_(kv.transpose(0, 1))
        return step_attention(q, self.keys[layer], self.values[layer], self.mask).flatten(1)


class RoundedPrefixAttention:
    """Like `PrefixAttention`, for a rounded cache, converted to the network's dtype at every step."""

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
    """One new query per row: q `[B, Hq, D]`, k and v `[B, H, L, D]`, mask `[B, 1, 1, L]` -> `[B, Hq, D]`.

    The query heads of one key head are passed as its rows, so keys are read once for the whole group.
    """
    B, H = k.shape[:2]
    out = F.scaled_dot_product_attention(q.view(B, H, -1, q.shape[-1]), k, v, attn_mask=mask)
    return out.reshape(q.shape)
