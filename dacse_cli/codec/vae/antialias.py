"""The activation of BigVGAN: `SnakeBeta` at twice the sample rate, so that its harmonics do not alias.

Lee et al. 2023, "BigVGAN: A Universal Neural Vocoder with Large-Scale Training" (arXiv 2206.04658). Both
filters are depthwise convolutions. Keeping even and odd samples apart, which needs no strides, was tried and
is slower on a CPU: 28 instead of 14 ms for a million samples on one core, of which the sine takes 6.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

TAPS = 12
_EPS = 1e-9


class AntialiasedSnake(nn.Module):
    """x + sin(x e^alpha)^2 / e^beta of the signal at twice the rate, filtered back; `[B, C, S]` -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.register_buffer("taps", kaiser_lowpass()[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        C = x.shape[1]
        taps = self.get_buffer("taps").to(x.dtype).expand(C, -1, -1)
        doubled = F.conv_transpose1d(F.pad(x, (5, 5), mode="replicate"), 2.0 * taps, stride=2, groups=C)
        active = snake_beta(doubled[..., 15:-15], self.alpha[:, None], self.beta[:, None])
        return F.conv1d(F.pad(active, (5, 6), mode="replicate"), taps, stride=2, groups=C)


def snake_beta(x: Tensor, log_frequency: Tensor, log_scale: Tensor) -> Tensor:
    """x + sin(x e^log_frequency)^2 / e^log_scale."""
    wave = (x * log_frequency.exp()).sin()
    return torch.addcmul(x, wave.square(), (log_scale.exp() + _EPS).reciprocal())


def kaiser_lowpass() -> Tensor:
    """The filter for both directions `[12]`: cutoff a quarter of the doubled rate, of unit sum."""
    half_width = 0.3
    attenuation = 2.285 * (TAPS // 2 - 1) * math.pi * 4 * half_width + 7.95
    beta = 0.1102 * (attenuation - 8.7)  # Kaiser's rule above 50 dB
    times = np.arange(TAPS) - (TAPS - 1) / 2
    taps = np.kaiser(TAPS, beta) * 0.5 * np.sinc(0.5 * times)
    return torch.from_numpy((taps / taps.sum()).astype(np.float32))
