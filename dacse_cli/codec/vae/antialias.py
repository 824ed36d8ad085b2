"""The activation of BigVGAN: `SnakeBeta` at twice the sample rate, so that its harmonics do not alias.

Lee et al. 2023, "BigVGAN: A Universal Neural Vocoder with Large-Scale Training" (arXiv 2206.04658). The
signal at twice the rate is kept as its even and its odd samples: both filters are then plain convolutions of
one or two channels, and nothing is interleaved.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TAPS = 12
REACH = 5
"""Samples on each side that an output depends on."""
_EPS = 1e-9


class AntialiasedSnake(nn.Module):
    """x + sin(x e^alpha)^2 / e^beta of the signal at twice the rate, filtered back; `[B, C, S]` -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        up, down = phase_filters()
        self.register_buffer("up", up, persistent=False)
        self.register_buffer("down", down, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        B, C, S = x.shape
        rows = F.pad(x.reshape(B * C, 1, S), (3, 3), mode="replicate")
        phases = F.conv1d(rows, self.get_buffer("up").to(x.dtype)).view(B, C, 2, S)
        active = snake_beta(phases, self.alpha.view(-1, 1, 1), self.beta.view(-1, 1, 1))
        down = self.get_buffer("down").to(x.dtype)
        return F.conv1d(_extended(active.view(B * C, 2, S)), down).view(B, C, S)


def snake_beta(x: Tensor, log_frequency: Tensor, log_scale: Tensor) -> Tensor:
    """x + sin(x e^log_frequency)^2 / e^log_scale."""
    wave = (x * log_frequency.exp()).sin()
    return torch.addcmul(x, wave.square(), (log_scale.exp() + _EPS).reciprocal())


def kaiser_lowpass() -> Tensor:
    """The filter for both directions `[12]`: cutoff a quarter of the doubled rate, of unit sum."""
    half_width = 0.3
    attenuation = 2.285 * (TAPS // 2 - 1) * math.pi * 4 * half_width + 7.95
    beta = 0.1102 * (attenuation - 8.7)  # Kaiser's rule above 50 dB
    window = torch.kaiser_window(TAPS, periodic=False, beta=beta, dtype=torch.float64)
    taps = window * 0.5 * torch.sinc(0.5 * (torch.arange(TAPS, dtype=torch.float64) - TAPS / 2 + 0.5))
    return (taps / taps.sum()).float()


def phase_filters() -> tuple[Tensor, Tensor]:
    """Convolutions up `[2, 1, 7]` and down `[1, 2, 7]`, for rows padded by 3 on each side."""
    taps = 2.0 * kaiser_lowpass().flip(0), kaiser_lowpass()
    up, down = torch.zeros(2, 1, 7), torch.zeros(1, 2, 7)
    up[0, 0, :6], up[1, 0, 1:] = taps[0][0::2], taps[0][1::2]
    down[0, 1, :6], down[0, 0, 1:] = taps[1][0::2], taps[1][1::2]
    return up, down


def _extended(phases: Tensor) -> Tensor:
    """Even and odd samples `[N, 2, S]` with the first and the last sample repeated 3 times in both."""
    first, last = phases[:, :1, :1], phases[:, 1:, -1:]
    return torch.cat([first.expand(-1, 2, 3), phases, last.expand(-1, 2, 3)], dim=-1)
