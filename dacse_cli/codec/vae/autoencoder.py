"""The autoencoder of mel spectra: a deep-compression autoencoder (DC-AE) of plain residual blocks.

Chen et al. 2024, "Deep Compression Autoencoder for Efficient High-Resolution Diffusion Models" (arXiv
2410.10733), as `diffusers.AutoencoderDC` computes it with the settings of DC-Speech-VAE. Written out because
that package (0.42) is 61 MB and takes 3.1 s to import where this file takes 0.03 s. Tensors have its names.
Works on spectra and latents; independent of sound and of windows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dacse_cli.codec.vae.shape import AutoencoderShape

NORM_EPS = 1e-5


class Autoencoder(nn.Module):
    """Log-mels `[B, 80, F]` <-> latents `[B, W, F / reduction]`, F a multiple of the reduction."""

    def __init__(self, shape: AutoencoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = _Encoder(shape)
        self.decoder = _Decoder(shape)

    def encode(self, mel: Tensor) -> Tensor:
        """Latents `[B, W, T]` of mels `[B, 80, F]`, at every point normalised over the latent channels."""
        raw = self.encoder(mel[:, None])  # [B, C, H, T]
        latents = F.layer_norm(raw.movedim(1, -1), raw.shape[1:2], eps=NORM_EPS).movedim(-1, 1)
        return latents.reshape(len(mel), -1, raw.shape[-1])

    def decode(self, latents: Tensor) -> Tensor:
        """Mels `[B, 80, F]` of latents `[B, W, T]`."""
        B, _, T = latents.shape
        image = latents.reshape(B, self.shape.latent_channels, -1, T)
        mel: Tensor = self.decoder(image)
        return mel[:, 0]

    def forward(self, mel: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(mels decoded from latents plus `noise` `[B, W, T]`, latents) of mels `[B, 80, F]`."""
        latents = self.encode(mel)
        return self.decode(latents if noise is None else latents + noise), latents


def sigma_noise(like: Tensor, strength: float, generator: torch.Generator | None = None) -> Tensor:
    """Noise for latents `[B, W, T]`: normal, the deviation of each row drawn from 0..strength."""
    rows = (len(like), *[1] * (like.ndim - 1))
    deviation = torch.rand(rows, generator=generator) * strength
    return (torch.randn(like.shape, generator=generator) * deviation).to(like)


class _Norm(nn.Module):
    """RMS norm over channels, with gain and bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = (x.square().mean(dim=1, keepdim=True) + NORM_EPS).rsqrt()
        return torch.addcmul(self.bias[:, None, None], x * scale, self.weight[:, None, None])


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = _Norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.conv2(F.silu(self.conv1(x))))  # type: ignore[no-any-return]


class _Down(nn.Module):
    """Half the size; the shortcut is each 2 x 2 patch as channels, averaged in groups."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, stride=2, padding=1)
        self.out = out

    def forward(self, x: Tensor) -> Tensor:
        patches = F.pixel_unshuffle(x, 2)
        return self.conv(x) + _grouped_mean(patches, self.out)  # type: ignore[no-any-return]


class _Up(nn.Module):
    """Twice the size; the shortcut is repeated channels, laid out as 2 x 2 patches."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, padding=1)
        self.repeats = 4 * out // channels

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pixel_shuffle(x.repeat_interleave(self.repeats, dim=1), 2)
        return self.conv(F.interpolate(x, scale_factor=2.0)) + shortcut  # type: ignore[no-any-return]


class _Encoder(nn.Module):
    def __init__(self, shape: AutoencoderShape) -> None:
        super().__init__()
        channels = shape.channels
        self.latent_channels = shape.latent_channels
        self.conv_in = nn.Conv2d(1, channels[0], 3, padding=1)
        self.down_blocks = nn.ModuleList()
        for place, (width, layers) in enumerate(zip(channels, shape.encoder_layers, strict=True)):
            block: list[nn.Module] = [_Residual(width) for _ in range(layers)]
            if place + 1 < len(channels):
                block.append(_Down(width, channels[place + 1]))
            self.down_blocks.append(nn.Sequential(*block))
        self.conv_out = nn.Conv2d(channels[-1], shape.latent_channels, 3, padding=1)

    def forward(self, mel: Tensor) -> Tensor:
        """Mels `[B, 1, 80, F]` -> `[B, C, H, T]`."""
        x = self.conv_in(mel)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(x) + _grouped_mean(x, self.latent_channels)  # type: ignore[no-any-return]


class _Decoder(nn.Module):
    def __init__(self, shape: AutoencoderShape) -> None:
        super().__init__()
        channels = shape.channels
        self.repeats = channels[-1] // shape.latent_channels
        self.conv_in = nn.Conv2d(shape.latent_channels, channels[-1], 3, padding=1)
        self.up_blocks = nn.ModuleList()  # numbered as the encoder's, and run from the last to the first
        for place, (width, layers) in enumerate(zip(channels, shape.decoder_layers, strict=True)):
            up: list[nn.Module] = [_Up(channels[place + 1], width)] if place + 1 < len(channels) else []
            self.up_blocks.append(nn.Sequential(*up, *(_Residual(width) for _ in range(layers))))
        self.norm_out = _Norm(channels[0])
        self.conv_out = nn.Conv2d(channels[0], 1, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """`[B, C, H, T]` -> mels `[B, 1, 80, F]`."""
        x = self.conv_in(latents) + latents.repeat_interleave(self.repeats, dim=1)
        for block in reversed(self.up_blocks):
            x = block(x)
        return self.conv_out(F.relu(self.norm_out(x)))  # type: ignore[no-any-return]


def _grouped_mean(x: Tensor, groups: int) -> Tensor:
    """Channels averaged down to `groups`: `[B, C, H, T]` -> `[B, groups, H, T]`."""
    B, _, H, T = x.shape
    return x.reshape(B, groups, -1, H, T).mean(dim=2)
