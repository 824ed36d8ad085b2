"""Samples -> log-mel spectrum, as BigVGAN-v2's 22 kHz models and the autoencoder were trained on.

This spectrum has one setting only; frame f stands for samples f * HOP to (f + 1) * HOP.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from dacse_cli.codec.mel_filters import mel_filters
from dacse_cli.codec.vae.shape import BANDS, HOP, SAMPLE_RATE

WINDOW = 1024
EDGE = (WINDOW - HOP) // 2
"""Samples that a frame sees on each side of its own; at the ends of a recording they are its mirror image."""
FLOOR = 1e-5


class MelSpectrum:
    """The spectrum of batches; its constants are put on a device when first used there."""

    def __init__(self) -> None:
        self._window = torch.hann_window(WINDOW)
        self._filters = mel_filters(SAMPLE_RATE, WINDOW, BANDS).float()

    def __call__(self, samples: Tensor) -> Tensor:
        """Log-mels `[B, 80, F]` of samples `[B, S]`, float32, S at least 385; F = floor(S / 256)."""
        if self._window.device != samples.device:
            self._window, self._filters = (t.to(samples.device) for t in (self._window, self._filters))
        mirrored = pad(samples[:, None], (EDGE, EDGE), mode="reflect")[:, 0]
        spectrum = torch.stft(mirrored, WINDOW, HOP, window=self._window, center=False, return_complex=True)
        magnitude = (torch.view_as_real(spectrum).square().sum(-1) + 1e-9).sqrt()
        return (self._filters @ magnitude).clamp_(min=FLOOR).log_()
