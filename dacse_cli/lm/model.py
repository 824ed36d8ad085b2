"""The Llama network: a prompt into the cache (`prefill`), one token per row through it (`step`).

RMSNorm -> fused QKV -> rotary positions -> attention over the cache -> output; RMSNorm -> SwiGLU. The
residual stream, norms and logits are float32 in every precision mode; matrix products and the cache use the
working dtype. Arithmetic follows transformers' `modeling_llama.py`. Id ranges, batches and stopping are
handled elsewhere.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from dacse_cli.lm.attention.cache import Cache
from dacse_cli.lm.attention.prefix import StepAttention, prefill_attention, split_heads, step_attention
from dacse_cli.lm.linear import Linear
from dacse_cli.lm.shape import LlamaShape
from dacse_cli.lm.weights import Block, Weights


class Pointwise(Protocol):
    """The operations between matrix products and attention; devices have their own fused forms.

    The residual stream x is float32 `[N, hidden]`.
    """

    def norm(self, x: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
        """RMSNorm of x, as `dtype`."""

    def add_norm(
        self, linear: Linear, x: Tensor, y: Tensor, weight: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """`x + linear(y)`, which may overwrite x, and the RMSNorm of that as `dtype`."""

    def gated(self, gate_up: Tensor) -> Tensor:
        """`silu(gate) * up` for `[N, 2 * I]` -> `[N, I]`."""


class PlainPointwise:
    """Torch's own operations."""

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def norm(self, x: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, self.eps).to(dtype)

    def add_norm(
        self, linear: Linear, x: Tensor, y: Tensor, weight: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        x = linear.add_to(x, y)
        return x, self.norm(x, weight, dtype)

    def gated(self, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate).mul_(up)


class Llama:
    """A network with given weights. Axes: `B` rows, `P` prompt tokens, `H` key heads, `D` head dimension."""

    def __init__(self, shape: LlamaShape, weights: Weights) -> None:
        self.shape, self.weights = shape, weights
        self.dtype, self.device = weights.embedding.dtype, weights.embedding.device
        self.rotations = rotations(shape, self.device)
        self.plain = PlainPointwise(shape.eps)

    def prefill(self, ids: Tensor, cache: Cache) -> Tensor:
        """Prompts of one length, ids `[B, P]`, into `cache` of B rows and P slots.

        Returns the output of the last norm at the last position, float32 `[B, hidden]`.
        """
        B, P = ids.shape
        turn = self.rotations[:P].unsqueeze(1)  # [P, 1, D/2], over [B, P, heads, D/2]
        x = F.embedding(ids.flatten(), self.weights.embedding).float()
        h = self.plain.norm(x, self.weights.blocks[0].attention_norm, self.dtype)
        last = self.shape.layers - 1
        for layer, block in enumerate(self.weights.blocks):
            q, kv = split_heads(self._heads(h, block, (B, P), turn), self.shape.kv_heads)
            keys, values = cache.fill(layer, kv)
            if layer < last:
                out = prefill_attention(q.transpose(1, 2), keys, values).transpose(1, 2)
            else:  # only the last position is needed from here on
                out = step_attention(q[:, -1].contiguous(), keys, values, None)
                x = x.view(B, P, -1)[:, -1].contiguous()
            x, h = self._finish(layer, x, out.reshape(x.shape[0], -1), self.plain)
        return h

    def step(
        self, x: Tensor, turn: Tensor | None, attend: StepAttention, pointwise: Pointwise | None = None
    ) -> Tensor:
        """Embeddings x `[N, hidden]` float32 of new tokens -> the output of the last norm, float32 like x.

        `turn` `[N, 1, D/2]` (or `[D/2]` for all) rotates queries and keys; None if `attend` does that
        itself. `x` is overwritten.
        """
        ops = pointwise or self.plain
        h = ops.norm(x, self.weights.blocks[0].attention_norm, self.dtype)
        for layer, block in enumerate(self.weights.blocks):
            heads = self._heads(h, block, (x.shape[0],), turn)
            x, h = self._finish(layer, x, attend(layer, heads), ops)
        return h

    def _heads(self, h: Tensor, block: Block, lead: tuple[int, ...], turn: Tensor | None) -> Tensor:
        """Queries, keys and values `[*lead, Hq + 2 * H, D]`, the first two rotated by `turn`."""
        shape = self.shape
        heads = block.qkv(h).view(*lead, shape.qkv_heads, shape.head_dim)
        if turn is not None:
            rotate_(heads[..., : shape.heads + shape.kv_heads, :], turn)
        return heads

    def _finish(self, layer: int, x: Tensor, attended: Tensor, ops: Pointwise) -> tuple[Tensor, Tensor]:
        """The rest of a layer after attention `[N, Hq * D]`: the new x, and its norm for what follows."""
        blocks, block = self.weights.blocks, self.weights.blocks[layer]
        x, h = ops.add_norm(block.output, x, attended, block.mlp_norm, self.dtype)
        inner = ops.gated(block.gate_up(h))
        if layer + 1 == len(blocks):
            return ops.add_norm(block.down, x, inner, self.weights.norm, torch.float32)
        return ops.add_norm(block.down, x, inner, blocks[layer + 1].attention_norm, self.dtype)


def rotations(shape: LlamaShape, device: torch.device) -> Tensor:
    """`cos(p f_i) + j sin(p f_i)` for every position p and pair i: complex64 `[max_positions, D/2]`.

    Computed in float32 on the CPU in the same steps as transformers, so that the angles are equal on every
    device.
    """
    exponents = torch.arange(0, shape.head_dim, 2, dtype=torch.int64).float() / shape.head_dim
    frequencies = 1.0 / (shape.rope_theta**exponents)
    angles = torch.outer(torch.arange(shape.max_positions).float(), frequencies)
    return torch.complex(angles.cos(), angles.sin()).to(device)


def rotate_(pairs: Tensor, turn: Tensor) -> None:
    """Rotate interleaved pairs in place: `[..., heads, D]` by complex `[..., 1, D/2]`, in float32."""
    shape = (*pairs.shape[:-1], -1, 2)
    if pairs.dtype is torch.float32:
        torch.view_as_complex(pairs.view(shape)).mul_(turn)
    else:
        turned = torch.view_as_complex(pairs.float().view(shape)).mul_(turn)
        pairs.copy_(torch.view_as_real(turned).flatten(-2))
