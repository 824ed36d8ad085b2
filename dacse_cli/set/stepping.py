"""The predictor one frame at a time: earlier frames are cached, so a frame costs one step.

All rows and hypotheses go through a step together, as one matrix `[R, W]` with R = B * N. The same layers as
`conformer`, arranged for little overhead: weights packed once, the factor 1/2 of feed-forwards folded into
their last weight, few operations per layer.

Hypotheses change parents every frame, but keys and values never move: they stay in the slot of the hypothesis
that wrote them, and an attention bias selects the slots of a hypothesis's ancestors. Only the last `kernel`
inputs of the convolutions are copied. The frame number is kept on the device, so that a step can be
captured as a CUDA graph.

Axes: `B` rows, `N` hypotheses of each, `T` frames, `L` layers, `W` width, `H` heads, `D` head dimension,
`k` kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dacse_cli.lm.linear import Linear, make_linear
from dacse_cli.set.conformer import Conformer, ConformerLayer, FeedForward, positions


class Steps(Protocol):
    """A predictor's cached past, and its next step."""

    def reset(self) -> None:
        """Clear the state."""

    def step(self, x: Tensor, parents: Tensor | None, frame: Tensor, upto: int) -> Tensor:
        """Inputs `[R, E]` of frame `frame` (int64 `[1]`) -> its vectors `[R, W]` float32.

        `parents` `[B, N]` as in `Scorer`; attention spans `upto` frames, of which `frame` must be one.
        """

    def keep(self, rows: int) -> None:
        """Keep only the first `rows` rows."""


@dataclass(frozen=True)
class Norm:
    """A LayerNorm of float32 vectors."""

    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        """`[R, W]` float32."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class HalfFeedForward:
    """Half a feed-forward, added to the stream."""

    norm: Norm
    up: Linear
    down: Linear
    dtype: torch.dtype

    def __call__(self, x: Tensor) -> Tensor:
        """`[R, W]` float32; `x` may be overwritten."""
        return self.down.add_to(x, F.silu(self.up(self.norm(x).to(self.dtype)), inplace=True))


@dataclass(frozen=True)
class StepLayer:
    """One conformer layer's weights."""

    first: HalfFeedForward
    attention_norm: Norm
    qkv: Linear
    attended: Linear
    convolution_norm: Norm
    gate: Linear
    taps: Tensor
    """Depthwise weights `[k (frame mod k), k (slot), W]`: slot s of the ring holds frames s mod k."""
    tap_bias: Tensor
    depth_norm: Norm
    convolved: Linear
    second: HalfFeedForward
    norm: Norm


class ConformerWeights:
    """A causal conformer's weights in the form a step needs, on its device, products in `dtype`."""

    def __init__(self, conformer: Conformer, dtype: torch.dtype) -> None:
        if not conformer.shape.causal:
            raise ValueError("only a causal conformer can be run frame by frame")
        self.shape, self.dtype = conformer.shape, dtype
        self.device = conformer.norm.weight.device
        self.input = packed(conformer.input, dtype)
        self.layers = [_step_layer(cast(ConformerLayer, layer), dtype) for layer in conformer.layers]
        self.norm = _norm(conformer.norm)

    def begin(self, rows: int, beam: int, frames: int, masked: bool = False) -> ConformerSteps:
        """Empty caches."""
        return ConformerSteps(self, rows, beam, frames, masked)


class ConformerSteps:
    """`Steps` of a causal conformer.

    `masked`: `upto` may go beyond the frames that were written, as in a captured graph.
    """

    def __init__(self, weights: ConformerWeights, rows: int, beam: int, frames: int, masked: bool) -> None:
        self.weights, self.beam = weights, beam
        shape, device = weights.shape, weights.device
        L, W, H, k = shape.layers, shape.width, shape.heads, shape.kernel
        slots = (L, rows, H, frames, beam, W // H)
        self.keys = torch.zeros(slots, dtype=weights.dtype, device=device)
        self.values = torch.zeros(slots, dtype=weights.dtype, device=device)
        # inputs of the convolutions: float32 [L, B * N, k, W], a ring buffer
        self.ring = torch.zeros(L, rows * beam, k, W, device=device)
        self.positions = positions(frames, W).to(device)
        # added to attention logits [B, N, T, N]: 0 where a slot was written by an ancestor, else -inf
        self.bias = None
        if masked or beam > 1:
            self.bias = torch.full((rows, beam, frames, beam), -torch.inf, device=device)
            self.own = torch.full((beam, beam), -torch.inf, device=device).fill_diagonal_(0.0)

    def reset(self) -> None:
        """Clear the state; keys and values are overwritten before they are read."""
        self.ring.zero_()
        if self.bias is not None:
            self.bias.fill_(-torch.inf)

    def keep(self, rows: int) -> None:
        """Keep only the first `rows` rows."""
        self.keys, self.values = self.keys[:, :rows], self.values[:, :rows]
        self.ring = self.ring[:, : rows * self.beam]
        if self.bias is not None:
            self.bias = self.bias[:rows]

    def step(self, x: Tensor, parents: Tensor | None, frame: Tensor, upto: int) -> Tensor:
        """The next frame of all rows."""
        weights = self.weights
        if parents is not None and self.beam > 1:
            self._follow(parents)
        bias = None
        if self.bias is not None:
            self.bias.index_copy_(2, frame, self.own.unsqueeze(1).expand(len(self.bias), -1, -1, -1))
            bias = self.bias[:, :, :upto].flatten(2).unsqueeze(1).to(weights.dtype)  # [B, 1, N, T * N]
        slot = frame % weights.shape.kernel
        x = weights.input(x.to(weights.dtype)).float() + self.positions.index_select(0, frame)
        for number, layer in enumerate(weights.layers):
            x = layer.first(x)
            x = layer.attended.add_to(x, self._attend(number, layer, x, bias, frame, upto))
            x = layer.convolved.add_to(x, self._convolve(number, layer, x, slot))
            x = layer.norm(layer.second(x))
        return weights.norm(x)

    def _follow(self, parents: Tensor) -> None:
        """Replace the past of every hypothesis by that of its parent."""
        assert self.bias is not None
        B, N = parents.shape
        first = torch.arange(B, device=parents.device).unsqueeze(1) * N
        flat = (first + parents).flatten()
        self.bias.copy_(self.bias.flatten(0, 1).index_select(0, flat).view_as(self.bias))
        self.ring.copy_(self.ring.index_select(1, flat))

    def _attend(
        self, number: int, layer: StepLayer, x: Tensor, bias: Tensor | None, frame: Tensor, upto: int
    ) -> Tensor:
        """`[R, W]` of this layer's attention, before its last linear."""
        keys, values = self.keys[number], self.values[number]
        B, H, _, N, D = keys.shape
        qkv = layer.qkv(layer.attention_norm(x).to(self.weights.dtype)).view(B, N, 3, H, D)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # [B, H, N, D]
        keys.index_copy_(2, frame, k.unsqueeze(2))
        values.index_copy_(2, frame, v.unsqueeze(2))
        out = F.scaled_dot_product_attention(
            q,
            keys[:, :, :upto].flatten(2, 3),
            values[:, :, :upto].flatten(2, 3),
            attn_mask=bias,
        )
        return out.transpose(1, 2).reshape(B * N, H * D)

    def _convolve(self, number: int, layer: StepLayer, x: Tensor, slot: Tensor) -> Tensor:
        """`[R, W]` of this layer's convolution, before its last linear."""
        ring, dtype = self.ring[number], self.weights.dtype
        gated = F.glu(layer.gate(layer.convolution_norm(x).to(dtype)).float(), dim=-1)
        ring.index_copy_(1, slot, gated.unsqueeze(1))
        deep = (ring * layer.taps.index_select(0, slot)).sum(dim=1).add_(layer.tap_bias)
        return F.silu(layer.depth_norm(deep), inplace=True).to(dtype)


def turned_taps(weight: Tensor) -> Tensor:
    """Depthwise weights `[W, 1, k]` -> `[k, k, W]`: by frame mod k, then by slot of the ring.

    At frame t slot s holds frame t - ((t - s) mod k), and tap k - 1 is the newest frame's.
    """
    taps = weight.detach()[:, 0].t()  # [k, W], oldest first
    k = len(taps)
    age = (torch.arange(k)[:, None] - torch.arange(k)) % k
    return taps[k - 1 - age].contiguous()


def _step_layer(layer: ConformerLayer, dtype: torch.dtype) -> StepLayer:
    attention, convolution = layer.attention, layer.convolution
    return StepLayer(
        first=_half(layer.first, dtype),
        attention_norm=_norm(attention.norm),
        qkv=packed(attention.qkv, dtype),
        attended=packed(attention.out, dtype),
        convolution_norm=_norm(convolution.norm),
        gate=packed(convolution.gate, dtype),
        taps=turned_taps(convolution.depthwise.weight.float()),
        tap_bias=_bias(convolution.depthwise).float(),
        depth_norm=_norm(convolution.depth_norm),
        convolved=packed(convolution.out, dtype),
        second=_half(layer.second, dtype),
        norm=_norm(layer.norm),
    )


def _half(feed_forward: FeedForward, dtype: torch.dtype) -> HalfFeedForward:
    return HalfFeedForward(
        _norm(feed_forward.norm),
        packed(feed_forward.up, dtype),
        packed(feed_forward.down, dtype, scale=0.5),
        dtype,
    )


def _norm(norm: nn.LayerNorm) -> Norm:
    return Norm(norm.weight.detach().float(), norm.bias.detach().float(), norm.eps)


def packed(linear: nn.Linear, dtype: torch.dtype, scale: float = 1.0) -> Linear:
    """A linear layer in the form a step needs."""
    return make_linear((linear.weight.detach() * scale).to(dtype), (_bias(linear) * scale).to(dtype))


def _bias(module: nn.Linear | nn.Conv1d) -> Tensor:
    assert module.bias is not None
    return module.bias.detach()
