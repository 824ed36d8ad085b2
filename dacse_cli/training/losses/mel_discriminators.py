"""Networks that distinguish estimated from recorded mel spectra, as DC-Speech-VAE's: by band, and by patch.

Tensors have the published names; all layers are weight-normed. As published, the first map of each stack is
not used as a feature, and the final score is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.nn.utils.parametrizations import weight_norm

from dacse_cli.training.losses.discriminators import SLOPE, Features

BANDS = 10
"""Equal parts of the spectrum, each with its own layers."""
SHORTEST = 64
"""Mel frames that the patches need."""


class BandNetwork(nn.Module):
    """Five convolutions for each part of the spectrum, one over all of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = (1, *[width] * 5)
        self.band_convs = nn.ModuleList(
            nn.ModuleList(weight_norm(nn.Conv2d(a, b, 3, padding=1)) for a, b in pairwise(channels))
            for _ in range(BANDS)
        )
        self.conv_post = weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, image: Tensor) -> Features:
        """Feature maps of `image` [B, 1, F, 80]."""
        features, ends = Features(), Features()
        for layers, band in zip(self.band_convs, image.chunk(BANDS, dim=-1), strict=True):
            assert isinstance(layers, nn.ModuleList)
            maps = _maps(layers, band)
            features += maps[1:]
            ends.append(maps[-1])
        verdict = self.conv_post(torch.cat(ends, dim=-1))
        return [*features, verdict, verdict]


class PatchNetwork(nn.Module):
    """PatchGAN: each value of the score depends on a patch of the spectrum."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)) for a, b in pairwise((1, *widths))
        )
        self.conv_post = weight_norm(nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, image: Tensor) -> Features:
        """Feature maps of `image` [B, 1, F, 80]."""
        maps = _maps(self.convs, image)
        verdict = self.conv_post(maps[-1])
        return [*maps[1:], verdict, verdict]


class MelDiscriminators(nn.Module):
    """Both, for mel spectra; recordings and estimates go through together, as one batch."""

    def __init__(self, band_width: int = 32, patch_width: int = 32) -> None:
        super().__init__()
        widths = [patch_width << place for place in range(5)]
        self.discriminators = nn.ModuleList([BandNetwork(band_width), PatchNetwork(widths)])

    def forward(self, mel: Tensor) -> list[Features]:
        """Feature maps of each network for log-mels [B, 80, F], F at least 64."""
        image = mel.transpose(1, 2)[:, None]
        return [network(image) for network in self.discriminators]


def _maps(layers: nn.ModuleList, image: Tensor) -> Features:
    features = Features()
    for layer in layers:
        image = leaky_relu(layer(image), SLOPE)
        features.append(image)
    return features
