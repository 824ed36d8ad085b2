"""The network of DAC for inference: encoder, residual quantizer, decoder.

Its tensors have the names and shapes of `transformers`' `DacModel`, and it computes the same operations in
the same order, so codes are equal. Written out because importing `transformers` for one network takes 4 s
and 240 MB in every process that runs a codec. Independent of windows.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dacse_cli.codec.dac.receptive import RESIDUAL_DILATIONS
from dacse_cli.codec.dac.shape import DacShape
from dacse_cli.codec.dac.snake import Snake
from dacse_cli.errors import CodecError
from dacse_cli.weights.outline import outline
from dacse_cli.weights.stored import Shape, check_shapes


class Network(Protocol):
    """What a DAC codec needs of its network, all on the network's device."""

    @property
    def width(self) -> int:
        """Channels of the latents (H)."""

    def encode(self, samples: Tensor) -> Tensor:
        """Hop-aligned samples `[B, 1, T * hop]` -> latents `[B, H, T]`."""

    def quantize(self, latents: Tensor) -> Tensor:
        """Latents `[B, H, T]` -> codes `[B, K, T]`, int64."""

    def embed(self, codes: Tensor) -> Tensor:
        """Codes `[B, k, T]`, int64, of the first k codebooks -> quantized latents `[B, H, T]`."""

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `[B, H, T]` -> samples `[B, T * hop - decode_tail]`."""


class DacNetwork(nn.Module):
    """Float32, on one device, without gradients. Activations work in place."""

    def __init__(self, shape: DacShape, weights: dict[str, Tensor]) -> None:
        """Build the network of `shape` around `weights`; raises `CodecError` where they do not fit."""
        super().__init__()
        self.width = shape.hidden_size
        with outline():
            self.encoder = _Encoder(shape)
            self.quantizer = _Quantizer(shape)
            self.decoder = Decoder(shape)
        shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        check_shapes(shapes, _shapes_of(self), CodecError)
        self.load_state_dict(weights, strict=True, assign=True)
        self.eval().requires_grad_(False)

    def encode(self, samples: Tensor) -> Tensor:
        """Hop-aligned samples `[B, 1, T * hop]` -> latents `[B, H, T]`."""
        latents: Tensor = self.encoder(samples)
        return latents

    def quantize(self, latents: Tensor) -> Tensor:
        """Latents `[B, H, T]` -> codes `[B, K, T]`, int64."""
        codes: Tensor = self.quantizer(latents)
        return codes

    def embed(self, codes: Tensor) -> Tensor:
        """Codes `[B, k, T]`, int64, of the first k codebooks -> quantized latents `[B, H, T]`."""
        return self.quantizer.embed(codes)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `[B, H, T]` -> samples `[B, T * hop - decode_tail]`."""
        samples: Tensor = self.decoder(latents)
        return samples[:, 0]


def dac_shapes(shape: DacShape) -> dict[str, Shape]:
    """Names and shapes of the tensors of a network of `shape`, weight norm folded."""
    with outline():
        parts = nn.ModuleDict(
            {"encoder": _Encoder(shape), "quantizer": _Quantizer(shape), "decoder": Decoder(shape)}
        )
    return _shapes_of(parts)


def _shapes_of(module: nn.Module) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


class _ResidualUnit(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.snake1 = Snake(channels)
        self.conv1 = nn.Conv1d(channels, channels, 7, dilation=dilation, padding=3 * dilation)
        self.snake2 = Snake(channels)
        self.conv2 = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.snake2(self.conv1(self.snake1.copied(x))))
        return y.add_(x)  # type: ignore[no-any-return]


class _ResidualUnits(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.res_unit1, self.res_unit2, self.res_unit3 = (
            _ResidualUnit(channels, dilation) for dilation in RESIDUAL_DILATIONS
        )

    def _units(self, x: Tensor) -> Tensor:
        return self.res_unit3(self.res_unit2(self.res_unit1(x)))  # type: ignore[no-any-return]


class _EncoderBlock(_ResidualUnits):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels)
        self.snake1 = Snake(channels)
        self.conv1 = nn.Conv1d(channels, 2 * channels, 2 * stride, stride, math.ceil(stride / 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1(self.snake1(self._units(x)))  # type: ignore[no-any-return]


class _Encoder(nn.Module):
    def __init__(self, shape: DacShape) -> None:
        super().__init__()
        channels = shape.encoder_hidden_size
        self.conv1 = nn.Conv1d(1, channels, 7, padding=3)
        self.block = nn.Sequential()
        for stride in shape.downsampling_ratios:
            self.block.append(_EncoderBlock(channels, stride))
            channels *= 2
        self.snake1 = Snake(channels)
        self.conv2 = nn.Conv1d(channels, shape.hidden_size, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.snake1(self.block(self.conv1(x))))  # type: ignore[no-any-return]


class _DecoderBlock(_ResidualUnits):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels // 2)
        self.snake1 = Snake(channels)
        padding = math.ceil(stride / 2)
        self.conv_t1 = nn.ConvTranspose1d(channels, channels // 2, 2 * stride, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        return self._units(self.conv_t1(self.snake1(x)))


class Decoder(nn.Module):
    """Latents `[B, H, T]` -> samples `[B, 1, T * hop - decode_tail]`; activations work in place."""

    def __init__(self, shape: DacShape) -> None:
        super().__init__()
        channels = shape.decoder_hidden_size
        self.conv1 = nn.Conv1d(shape.hidden_size, channels, 7, padding=3)
        self.block = nn.Sequential()
        for stride in reversed(shape.downsampling_ratios):
            self.block.append(_DecoderBlock(channels, stride))
            channels //= 2
        self.snake1 = Snake(channels)
        self.conv2 = nn.Conv1d(channels, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.snake1(self.block(self.conv1(x))))
        return x.tanh_()


class _Codebook(nn.Module):
    """One stage of the quantizer: nearest by cosine in a space of few dimensions."""

    def __init__(self, shape: DacShape) -> None:
        super().__init__()
        self.in_proj = nn.Conv1d(shape.hidden_size, shape.codebook_dim, 1)
        self.out_proj = nn.Conv1d(shape.codebook_dim, shape.hidden_size, 1)
        self.codebook = nn.Embedding(shape.codebook_size, shape.codebook_dim)

    def nearest(self, projected: Tensor) -> Tensor:
        """Projected latents `[B, D, T]` -> codes `[B, T]`."""
        B, D, T = projected.shape
        points = F.normalize(projected.transpose(1, 2).reshape(B * T, D))
        entries = F.normalize(self.codebook.weight)
        lengths = points.pow(2).sum(1, keepdim=True)
        distance = -(lengths - 2 * points @ entries.T) + entries.pow(2).sum(1, keepdim=True).T
        return distance.max(1)[1].reshape(B, T)

    def vectors(self, codes: Tensor) -> Tensor:
        """Codes `[B, T]` -> their entries `[B, D, T]`."""
        entries: Tensor = self.codebook(codes)
        return entries.transpose(1, 2)


class _Quantizer(nn.Module):
    """Stages, each coding what the ones before left."""

    def __init__(self, shape: DacShape) -> None:
        super().__init__()
        self.quantizers = nn.ModuleList(_Codebook(shape) for _ in range(shape.n_codebooks))

    def forward(self, rest: Tensor) -> Tensor:
        codes = []
        for stage in self.quantizers:
            assert isinstance(stage, _Codebook)
            projected = stage.in_proj(rest)
            codes.append(stage.nearest(projected))
            # the sum and difference of training's straight-through estimator round, and so do they here
            entries = projected + (stage.vectors(codes[-1]) - projected)
            rest = rest - stage.out_proj(entries)
        return torch.stack(codes, dim=1)

    def embed(self, codes: Tensor) -> Tensor:
        total: Tensor | None = None
        for stage, own in zip(self.quantizers, codes.unbind(1), strict=False):
            assert isinstance(stage, _Codebook)
            part = stage.out_proj(stage.vectors(own))
            total = part if total is None else total.add_(part)
        assert total is not None
        return total
