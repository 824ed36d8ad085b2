"""Networks that distinguish estimates from recordings: by period of the wave, by band of the spectrum.

The published pair (HiFi-GAN's multi-period, DAC's multi-band complex spectra), all layers weight-normed. Each
network returns the feature maps of its layers; the last is its score.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad
from torch.nn.utils.parametrizations import weight_norm

SLOPE = 0.1
PEAK = 0.8
Features = list[Tensor]


class PeriodNetwork(nn.Module):
    """Discriminator of samples that are `period` apart: the wave folded to [B, 1, S / period, period]."""

    def __init__(self, period: int, width: int) -> None:
        super().__init__()
        self.period = period
        channels = (1, width, 4 * width, 16 * width, 32 * width, 32 * width)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (3 if place < 4 else 1, 1), (2, 0)))
            for place, (a, b) in enumerate(pairwise(channels))
        )
        self.last = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, wav: Tensor) -> Features:
        """Feature maps of `wav` [B, S]."""
        missing = -wav.shape[-1] % self.period
        whole = pad(wav[:, None], (0, missing), mode="reflect")
        folded = whole.reshape(len(wav), 1, -1, self.period)
        return _through(self.layers, self.last, folded)


class BandNetwork(nn.Module):
    """Discriminator of the complex spectrum of one window, with separate layers for each band."""

    def __init__(self, window: int, width: int, bands: Sequence[float]) -> None:
        super().__init__()
        bins = window // 2 + 1
        self.window, self.edges = window, [round(edge * bins) for edge in bands]
        self.register_buffer("taper", torch.hann_window(window), persistent=False)
        self.bands = nn.ModuleList(nn.ModuleList(self._layers(width)) for _ in bands[1:])
        self.last = weight_norm(nn.Conv2d(width, 1, (3, 3), padding=(1, 1)))

    def forward(self, wav: Tensor) -> Features:
        """Feature maps of `wav` [B, S]."""
        taper: Tensor = self.get_buffer("taper")
        hop = self.window // 4
        spectrum = torch.stft(wav.float(), self.window, hop, window=taper, return_complex=True)
        image = torch.view_as_real(spectrum).permute(0, 3, 2, 1)  # [B, 2, T, F]
        features, ends = Features(), Features()
        for layers, (low, high) in zip(self.bands, pairwise(self.edges), strict=True):
            assert isinstance(layers, nn.ModuleList)
            band = image[..., low:high]
            for layer in layers:
                band = leaky_relu(layer(band), SLOPE)
                features.append(band)
            ends.append(band)
        return [*features, self.last(torch.cat(ends, dim=-1))]

    def _layers(self, width: int) -> list[nn.Module]:
        wide = [nn.Conv2d(width, width, (3, 9), (1, 2), (1, 4)) for _ in range(3)]
        first, last = nn.Conv2d(2, width, (3, 9), padding=(1, 4)), nn.Conv2d(width, width, 3, padding=1)
        return [weight_norm(layer) for layer in (first, *wide, last)]


class WaveDiscriminators(nn.Module):
    """All of them, for waves; recordings and estimates go through together, as one batch."""

    def __init__(
        self, periods: Sequence[int], windows: Sequence[int], width: int, bands: Sequence[float]
    ) -> None:
        """`width`: channels of the first layers. `bands`: edges of spectral bands, as shares of the bins."""
        super().__init__()
        networks: list[nn.Module] = [PeriodNetwork(period, width) for period in periods]
        networks += [BandNetwork(window, width, bands) for window in windows]
        self.networks = nn.ModuleList(networks)

    def forward(self, wav: Tensor) -> list[Features]:
        """Feature maps of each network for `wav` [B, S], with its mean removed and its peak normalised."""
        wav = wav - wav.mean(dim=-1, keepdim=True)
        wav = PEAK * wav / (wav.abs().amax(dim=-1, keepdim=True) + 1e-9)
        return [network(wav) for network in self.networks]


def _through(layers: nn.ModuleList, last: nn.Module, image: Tensor) -> Features:
    features = Features()
    for layer in layers:
        image = leaky_relu(layer(image), SLOPE)
        features.append(image)
    return [*features, last(image)]
