"""Conformer layers over a whole sequence: half feed-forward, attention, convolution, half feed-forward.

Layer order and normalisation are SpeechBrain's: pre-norm, regular multi-head attention with fixed sinusoidal
positions added to the input, a LayerNorm in place of the batch norm after the depthwise convolution. One
thing differs on purpose: padded frames are zeroed at the input of the depthwise convolution, so that the
frames of a short row do not depend on how far it was padded. SpeechBrain masks the module's output only.

Axes: `B` rows, `T` frames, `W` width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dacse_cli.set.shape import ConformerShape

FINAL_EPS = 1e-6
"""Epsilon of the norm after the last layer; all others have torch's 1e-5."""


class FeedForward(nn.Module):
    """Norm, expansion, Swish, projection; the caller adds half of the result."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, T, W]` -> `[B, T, W]`."""
        inner = self.dropout(F.silu(self.up(self.norm(x))))
        out: Tensor = self.dropout(self.down(inner))
        return out


class Attention(nn.Module):
    """Norm and multi-head self-attention."""

    def __init__(self, shape: ConformerShape, dropout: float) -> None:
        super().__init__()
        self.heads, self.causal, self.dropout = shape.heads, shape.causal, dropout
        self.norm = nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)

    def forward(self, x: Tensor, seen: Tensor | None) -> Tensor:
        """`[B, T, W]`; `seen` bool `[B, 1, 1, T]` is false at frames that are masked."""
        B, T, W = x.shape
        qkv = self.qkv(self.norm(x)).view(B, T, 3, self.heads, W // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(
            q,
            k,
            v,
            # padding is after the end, where causal attention does not look
            attn_mask=None if self.causal else seen,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal,
        )
        out: Tensor = self.out(attended.transpose(1, 2).reshape(B, T, W))
        return out


class Convolution(nn.Module):
    """Norm, gated linear unit, depthwise convolution, norm, Swish, linear."""

    def __init__(self, shape: ConformerShape, dropout: float) -> None:
        super().__init__()
        W, k = shape.width, shape.kernel
        self.padding = (k - 1, 0) if shape.causal else (k // 2, k // 2)
        self.norm, self.gate = nn.LayerNorm(W), nn.Linear(W, 2 * W)
        self.depthwise = nn.Conv1d(W, W, k, groups=W)
        self.depth_norm, self.out = nn.LayerNorm(W), nn.Linear(W, W)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """`[B, T, W]`; `real` bool `[B, T, 1]` is false at padding, None where there is none."""
        gated = F.glu(self.gate(self.norm(x)), dim=-1)
        if real is not None:
            gated = gated * real
        deep = self.depthwise(F.pad(gated.transpose(1, 2), self.padding)).transpose(1, 2)
        out: Tensor = self.dropout(self.out(F.silu(self.depth_norm(deep))))
        return out


class ConformerLayer(nn.Module):
    """One layer."""

    def __init__(self, shape: ConformerShape, dropout: float) -> None:
        super().__init__()
        self.first = FeedForward(shape.width, shape.feed_forward, dropout)
        self.attention = Attention(shape, dropout)
        self.convolution = Convolution(shape, dropout)
        self.second = FeedForward(shape.width, shape.feed_forward, dropout)
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """`[B, T, W]`; `real` bool `[B, T]` is false at padding."""
        x = x + 0.5 * self.first(x)
        x = x + self.attention(x, None if real is None else real[:, None, None, :])
        x = x + self.convolution(x, None if real is None else real[:, :, None])
        out: Tensor = self.norm(x + 0.5 * self.second(x))
        return out


class Conformer(nn.Module):
    """Linear input, positions, layers, norm."""

    def __init__(self, inputs: int, shape: ConformerShape, dropout: float) -> None:
        super().__init__()
        self.shape, self.dropout = shape, nn.Dropout(dropout)
        self.input = nn.Linear(inputs, shape.width)
        self.layers = nn.ModuleList(ConformerLayer(shape, dropout) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width, eps=FINAL_EPS)

    def forward(self, x: Tensor, frames: Tensor | None = None) -> Tensor:
        """`[B, T, inputs]` -> `[B, T, W]`. `frames` int `[B]` of each row, None where all have T.

        Outputs at padding are meaningless.
        """
        real = None if frames is None else torch.arange(x.shape[1], device=x.device) < frames[:, None]
        x = self.dropout(self.input(x))
        if torch.is_autocast_enabled(x.device.type):  # the sum over layers stays float32
            x = x.float()
        x = x + positions(x.shape[1], self.shape.width).to(x)
        for layer in self.layers:
            x = layer(x, real)
        out: Tensor = self.norm(x)
        return out


def positions(frames: int, width: int) -> Tensor:
    """Sinusoids `[frames, width]` float32: sine and cosine of frame / 10000^(2 i / width) side by side."""
    rates = torch.exp(torch.arange(0, width, 2).float() * -(math.log(10000.0) / width))
    angles = torch.arange(frames).float()[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def set_initial_weights(network: nn.Module) -> None:
    """Xavier-normal matrices, as the published recipes begin; vectors keep torch's values."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_normal_(parameter)
