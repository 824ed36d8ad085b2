"""Attention over the cache, as torch's fused kernel runs it on every device.

Heads may share keys and values (GQA). `decode` reads exactly the valid slots it is given; the mask exists
only for batches whose prompts differ in length.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def prefill_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention of a prompt with itself: q `[B, Hq, P, D]`, k and v `[B, H, P, D]` -> like q."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])


def decode_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """One new query a row: q `[B, Hq, D]`, k and v `[B, H, L, D]`, mask `[B, 1, 1, L]` -> `[B, Hq, D]`.

    The query heads of one key head are passed as its rows: no causality is needed among them, and keys are
    read once for the whole group.
    """
    B, H = k.shape[:2]
    out = F.scaled_dot_product_attention(q.view(B, H, -1, q.shape[-1]), k, v, attn_mask=mask)
    return out.reshape(q.shape)
