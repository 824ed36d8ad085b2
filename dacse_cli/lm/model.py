"""The Llama itself: a prompt into the cache (`prefill`), one token a row through it (`step`).

RMSNorm -> fused QKV -> rotary positions -> attention over the cache -> output; RMSNorm -> SwiGLU. The
residual stream, norms and logits are float32 in every precision mode; products and the cache use the
working dtype. Arithmetic follows transformers' `modeling_llama.py`; knows nothing of ranges, batches or
when to stop.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dacse_cli.lm.arena import Cache
from dacse_cli.lm.attention import StepAttention, prefill_attention, split_heads, step_attention
from dacse_cli.lm.shape import LlamaShape
from dacse_cli.lm.weights import Block, Weights


class Llama:
    """A network of given weights. Axes: `B` rows, `P` prompt tokens, `H` key heads, `D` head dimension."""

    def __init__(self, shape: LlamaShape, weights: Weights) -> None:
        self.shape, self.weights = shape, weights
        self.dtype, self.device = weights.embedding.dtype, weights.embedding.device
        self.rotations = rotations(shape, self.device)

    def prefill(self, ids: Tensor, cache: Cache) -> Tensor:
        """Prompts of one length, ids `[B, P]`, into `cache` of B rows and P slots.

        Returns the float32 residual stream `[B, hidden]` of the last position, before the last norm.
        """
        B, P = ids.shape
        turn = self.rotations[:P].unsqueeze(1)  # [P, 1, D/2], over [B, P, heads, D/2]
        x = F.embedding(ids.flatten(), self.weights.embedding).float()
        last = self.shape.layers - 1
        for layer, block in enumerate(self.weights.blocks):
            q, kv = split_heads(self._project(x, block, (B, P), turn), self.shape.kv_heads)
            keys, values = cache.fill(layer, kv)
            if layer < last:
                out = prefill_attention(q.transpose(1, 2), keys, values).transpose(1, 2)
            else:  # only the last position is needed from here on
                out = step_attention(q[:, -1].contiguous(), keys, values, None)
                x = x.view(B, P, -1)[:, -1].contiguous()
            x = self._finish(x, out.reshape(x.shape[0], -1), block)
        return x

    def step(self, x: Tensor, turn: Tensor, attend: StepAttention) -> Tensor:
        """New tokens' embeddings x `[N, hidden]` float32 -> the residual stream after all layers.

        `turn` `[N, 1, D/2]` (or `[D/2]` for all) rotates them; `attend` holds the cache and knows whose they
        are. `x` is overwritten.
        """
        for layer, block in enumerate(self.weights.blocks):
            heads = self._project(x, block, (x.shape[0],), turn)
            x = self._finish(x, attend(layer, heads), block)
        return x

    def normed(self, x: Tensor) -> Tensor:
        """The last norm: float32 `[B, hidden]`, ready for the head."""
        return F.rms_norm(x, (self.shape.hidden,), self.weights.norm, self.shape.eps)

    def _project(self, x: Tensor, block: Block, lead: tuple[int, ...], turn: Tensor) -> Tensor:
        """Queries, keys and values `[*lead, Hq + 2 * H, D]`, the first two rotated."""
        shape = self.shape
        h = F.rms_norm(x, (shape.hidden,), block.attention_norm, shape.eps)
        heads = block.qkv(h.to(self.dtype)).view(*lead, shape.qkv_heads, shape.head_dim)
        rotate_(heads[..., : shape.heads + shape.kv_heads, :], turn)
        return heads

    def _finish(self, x: Tensor, attended: Tensor, block: Block) -> Tensor:
        """The rest of a layer: x `[N, hidden]` float32, attended `[N, Hq * D]` -> `[N, hidden]`."""
        x = block.output.add_to(x, attended)
        h = F.rms_norm(x, (self.shape.hidden,), block.mlp_norm, self.shape.eps)
        gate, up = block.gate_up(h.to(self.dtype)).chunk(2, dim=-1)
        return block.down.add_to(x, F.silu(gate).mul_(up))


def rotations(shape: LlamaShape, device: torch.device) -> Tensor:
    """`cos(p f_i) + j sin(p f_i)` for every position p and pair i: complex64 `[max_positions, D/2]`.

    Computed in float32 on the CPU, step for step as transformers does, so that the angles are the same
    numbers on every device.
    """
    exponents = torch.arange(0, shape.head_dim, 2, dtype=torch.int64).float() / shape.head_dim
    frequencies = 1.0 / (shape.rope_theta**exponents)
    angles = torch.outer(torch.arange(shape.max_positions).float(), frequencies)
    return torch.complex(angles.cos(), angles.sin()).to(device)


def rotate_(pairs: Tensor, turn: Tensor) -> None:
    """Turn interleaved pairs in place: `[..., heads, D]` by complex `[..., 1, D/2]`, in float32."""
    shape = (*pairs.shape[:-1], -1, 2)
    if pairs.dtype is torch.float32:
        torch.view_as_complex(pairs.view(shape)).mul_(turn)
    else:
        turned = torch.view_as_complex(pairs.float().view(shape)).mul_(turn)
        pairs.copy_(torch.view_as_real(turned).flatten(-2))
