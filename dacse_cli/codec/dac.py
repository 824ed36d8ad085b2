"""DAC's network for inference: layers, names and order of operations of `transformers`' `DacModel`.

So its weights fit by name, and codes and samples are the same bits. Not that class itself: importing it takes
longer than anything else a worker does before its first sample. No gradients: activations are in place.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from dacse_cli.codec.receptive import RESIDUAL_DILATIONS
from dacse_cli.codec.shape import DacShape
from dacse_cli.codec.snake import Snake, snake


class ResidualUnit(nn.Module):
    """x + conv2(snake2(conv1(snake1(x)))); `x` is kept for the skip connection."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.snake1, self.snake2 = Snake(width), Snake(width)
        self.conv1 = nn.Conv1d(width, width, 7, dilation=dilation, padding=3 * dilation)
        self.conv2 = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, S] -> [B, C, S]."""
        y: Tensor = self.conv1(snake(x, self.snake1.alpha, out=torch.empty_like(x)))
        y = self.conv2(self.snake2(y))
        return y.add_(x)


class ResidualUnits(nn.Module):
    """What every block has: three units of growing reach."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res_unit1, self.res_unit2, self.res_unit3 = (ResidualUnit(width, d) for d in RESIDUAL_DILATIONS)

    def units(self, x: Tensor) -> Tensor:
        """[B, C, S] -> [B, C, S]."""
        y: Tensor = self.res_unit3(self.res_unit2(self.res_unit1(x)))
        return y


class EncoderBlock(ResidualUnits):
    """Twice the channels at a `stride`-th of the rate."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__(width)
        self.snake1 = Snake(width)
        self.conv1 = nn.Conv1d(width, 2 * width, 2 * stride, stride, padding=math.ceil(stride / 2))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, S] -> [B, 2C, S / stride]."""
        y: Tensor = self.conv1(self.snake1(self.units(x)))
        return y


class DecoderBlock(ResidualUnits):
    """Half the channels at `stride` times the rate."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__(width // 2)
        self.snake1 = Snake(width)
        self.conv_t1 = nn.ConvTranspose1d(
            width, width // 2, 2 * stride, stride, padding=math.ceil(stride / 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, S] -> [B, C/2, S * stride], less one sample where the stride is odd."""
        return self.units(self.conv_t1(self.snake1(x)))


class Coder(nn.Module):
    """Encoder or decoder: a convolution, blocks, an activation and a convolution."""

    def __init__(self, first: nn.Conv1d, blocks: list[nn.Module], width: int, last: nn.Conv1d) -> None:
        super().__init__()
        self.conv1, self.block, self.snake1, self.conv2 = first, nn.ModuleList(blocks), Snake(width), last

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, S] -> [B, C', S']."""
        x = self.conv1(x)
        for block in self.block:
            x = block(x)
        return self.conv2(self.snake1(x))  # type: ignore[no-any-return]


class Codebook(nn.Module):
    """One step of the quantizer: the code that points as the projected latent does, and its vector."""

    def __init__(self, hidden: int, dim: int, size: int) -> None:
        super().__init__()
        self.in_proj, self.out_proj = nn.Conv1d(hidden, dim, 1), nn.Conv1d(dim, hidden, 1)
        # not drawn: drawing without memory makes torch import its compiler, more than a second
        self.codebook = nn.Embedding.from_pretrained(torch.empty(size, dim))  # type: ignore[no-untyped-call]

    def nearest(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Latent [B, H, T] -> (codes [B, T], what they stand for [B, H, T])."""
        low: Tensor = self.in_proj(latent)  # [B, d, T]
        rows = normalize(low.permute(0, 2, 1).reshape(-1, low.shape[1]))
        codebook = normalize(self.codebook.weight)
        square = rows.pow(2).sum(1, keepdim=True)
        distance = -(square - 2 * rows @ codebook.t()) + codebook.pow(2).sum(1, keepdim=True).t()
        codes = distance.max(1)[1].reshape(len(latent), -1)
        vectors = self.codebook(codes).transpose(1, 2)
        # not just `vectors`: the straight-through estimate of training rounds, and codes hang on it
        return codes, self.out_proj(low + (vectors - low))

    def vectors(self, codes: Tensor) -> Tensor:
        """Codes [B, T] -> what they stand for [B, H, T]."""
        found: Tensor = self.out_proj(self.codebook(codes).transpose(1, 2))
        return found


class Quantizer(nn.Module):
    """Codebooks, each for what the ones before left."""

    def __init__(self, codebooks: list[Codebook]) -> None:
        super().__init__()
        self.quantizers = nn.ModuleList(codebooks)

    def codes(self, latent: Tensor) -> Tensor:
        """Latent [B, H, T] -> codes [B, K, T]."""
        found = []
        for codebook in self.quantizers:
            assert isinstance(codebook, Codebook)
            codes, said = codebook.nearest(latent)
            found.append(codes)
            latent = latent - said
        return torch.stack(found, dim=1)

    def latent(self, codes: Tensor) -> Tensor:
        """Codes [B, k, T] -> latent [B, H, T]."""
        total = torch.zeros((), device=codes.device)
        for k, codebook in enumerate(list(self.quantizers)[: codes.shape[1]]):
            assert isinstance(codebook, Codebook)
            total = total + codebook.vectors(codes[:, k])
        return total


class Dac(nn.Module):
    """The whole of it."""

    def __init__(self, shape: DacShape) -> None:
        super().__init__()
        strides, width, hidden = shape.downsampling_ratios, shape.encoder_hidden_size, shape.hidden_size
        widest, wide = width << len(strides), shape.decoder_hidden_size
        narrow = wide >> len(strides)
        self.encoder = Coder(
            nn.Conv1d(1, width, 7, padding=3),
            [EncoderBlock(width << place, stride) for place, stride in enumerate(strides)],
            widest,
            nn.Conv1d(widest, hidden, 3, padding=1),
        )
        self.decoder = Coder(
            nn.Conv1d(hidden, wide, 7, padding=3),
            [DecoderBlock(wide >> place, stride) for place, stride in enumerate(reversed(strides))],
            narrow,
            nn.Conv1d(narrow, 1, 7, padding=3),
        )
        books = range(shape.n_codebooks)
        self.quantizer = Quantizer([Codebook(hidden, shape.codebook_dim, shape.codebook_size) for _ in books])

    def encode(self, samples: Tensor) -> Tensor:
        """Hop-aligned samples [B, 1, T*hop] -> codes [B, K, T]."""
        return self.quantizer.codes(self.encoder(samples))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, T], int64 -> samples [B, T*hop - decode_tail]."""
        wave: Tensor = self.decoder(self.quantizer.latent(codes))
        return wave.tanh().squeeze(1)
