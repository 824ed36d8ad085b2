"""Descript's network as its package builds it (`dac/model/dac.py`, 1.0.0): each module in its place.

Written from the layout of its state dict, so that weights files can be made without the package.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import normalize
from torch.nn.utils import weight_norm


class Snake(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x):
        return x + (self.alpha + 1e-9).reciprocal() * torch.sin(self.alpha * x).pow(2)


def conv(*args, **kwargs):
    return weight_norm(nn.Conv1d(*args, **kwargs))


class Block(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.block = nn.Sequential(*layers)

    def forward(self, x):
        return self.block(x)


class Residual(Block):
    def __init__(self, width, dilation):
        first = conv(width, width, 7, dilation=dilation, padding=3 * dilation)
        super().__init__(Snake(width), first, Snake(width), conv(width, width, 1))

    def forward(self, x):
        return x + self.block(x)


def residuals(width):
    return [Residual(width, dilation) for dilation in (1, 3, 9)]


class Encoder(Block):
    def __init__(self, width, rates, latent):
        layers = [conv(1, width, 7, padding=3)]
        for rate in rates:
            down = conv(width, 2 * width, 2 * rate, stride=rate, padding=math.ceil(rate / 2))
            layers.append(Block(*residuals(width), Snake(width), down))
            width *= 2
        super().__init__(*layers, Snake(width), conv(width, latent, 3, padding=1))


class Decoder(nn.Module):
    def __init__(self, latent, width, rates):
        super().__init__()
        layers = [conv(latent, width, 7, padding=3)]
        for rate in rates:
            up = nn.ConvTranspose1d(width, width // 2, 2 * rate, rate, math.ceil(rate / 2))
            layers.append(Block(Snake(width), weight_norm(up), *residuals(width // 2)))
            width //= 2
        self.model = nn.Sequential(*layers, Snake(width), conv(width, 1, 7, padding=3), nn.Tanh())


class Codebook(nn.Module):
    def __init__(self, latent, size, dim):
        super().__init__()
        self.in_proj, self.out_proj = conv(latent, dim, 1), conv(dim, latent, 1)
        self.codebook = nn.Embedding(size, dim)

    def forward(self, z):
        """Latents -> (what it adds to the quantized ones, codes)."""
        nearness = normalize(self.in_proj(z).transpose(1, 2), dim=-1) @ normalize(self.codebook.weight).T
        codes = nearness.argmax(-1)
        return self.out_proj(self.codebook(codes).transpose(1, 2)), codes


class DescriptModel(nn.Module):
    """`kwargs` as in a weights file's metadata."""

    def __init__(self, kwargs):
        super().__init__()
        self.kwargs = kwargs
        latent = kwargs["encoder_dim"] << len(kwargs["encoder_rates"])
        self.encoder = Encoder(kwargs["encoder_dim"], kwargs["encoder_rates"], latent)
        self.quantizer = nn.Module()
        self.quantizer.quantizers = nn.ModuleList(
            Codebook(latent, kwargs["codebook_size"], kwargs["codebook_dim"])
            for _ in range(kwargs["n_codebooks"])
        )
        self.decoder = Decoder(latent, kwargs["decoder_dim"], kwargs["decoder_rates"])

    @torch.no_grad()
    def encode(self, samples):
        """Samples [B, 1, T*hop] -> codes [B, K, T]."""
        rest, codes = self.encoder(samples), []
        for stage in self.quantizer.quantizers:
            part, own = stage(rest)
            rest = rest - part
            codes.append(own)
        return torch.stack(codes, 1)

    @torch.no_grad()
    def decode(self, codes):
        """Codes [B, K, T] -> samples [B, T*hop]."""
        stages = zip(self.quantizer.quantizers, codes.unbind(1), strict=True)
        latent = sum(stage.out_proj(stage.codebook(own).transpose(1, 2)) for stage, own in stages)
        return self.decoder.model(latent)[:, 0]

    def save(self, path):
        """As `torch.save` in the package writes it."""
        torch.save({"state_dict": self.state_dict(), "metadata": {"kwargs": self.kwargs}}, path)


def lively_model(rates, seed=3):
    """Weights that give many different codes."""
    kwargs = {
        "encoder_dim": 4,
        "encoder_rates": rates,
        "latent_dim": None,
        "decoder_dim": 32,
        "decoder_rates": rates[::-1],
        "n_codebooks": 3,
        "codebook_size": 64,
        "codebook_dim": 4,
        "quantizer_dropout": 0.5,
        "sample_rate": 16000,
    }
    model = DescriptModel(kwargs)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight_g"):
                parameter.fill_(0.7)
            elif parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            else:  # zero biases make silence a zero latent: all codes are as near
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
            if name.endswith("alpha"):
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
    return model.eval()
