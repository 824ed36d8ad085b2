"""Mel spectra -> samples without a trained vocoder: Griffin and Lim's iteration, of low quality.

Griffin & Lim 1984, with the momentum of Perraudin, Balazs & Soendergaard 2013. Phases begin as those of a
steady tone in the middle of each bin, so a frame's samples depend on its neighbours only, not on its place in
the recording. Still the iteration amplifies rounding: windows change samples, though not the sound.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import fold

from dacse_cli.codec.mel_filters import mel_filters
from dacse_cli.codec.vae.mel import EDGE, WINDOW
from dacse_cli.codec.vae.shape import BANDS, HOP, SAMPLE_RATE

OVERLAP = WINDOW // HOP - 1
"""Frames on each side that share samples with a frame."""
MOMENTUM = 0.9


class GriffinLim(nn.Module):
    """Log-mels `[B, 80, F]` -> samples `[B, F * 256]`."""

    def __init__(self, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        inverse = np.linalg.pinv(mel_filters(SAMPLE_RATE, WINDOW, BANDS).numpy()).astype(np.float32)
        self.register_buffer("inverse", torch.from_numpy(inverse), persistent=False)
        self.register_buffer("taper", torch.hann_window(WINDOW), persistent=False)

    @torch.no_grad()
    def forward(self, mel: Tensor) -> Tensor:
        magnitude = (self.get_buffer("inverse") @ mel.exp()).clamp_(min=0.0)
        guess = torch.polar(magnitude, self._phases(magnitude))
        previous = torch.zeros_like(guess)
        for _ in range(self.iterations):
            consistent = self._spectrum(self._samples(guess))
            step = consistent + MOMENTUM * (consistent - previous)
            guess, previous = magnitude * step / step.abs().clamp(min=1e-8), consistent
        return self._samples(guess)[:, EDGE:-EDGE].clamp(-1.0, 1.0)

    def _phases(self, magnitude: Tensor) -> Tensor:
        """Initial phases: bin k advances by k / 4 of a circle per frame."""
        bins, frames = (torch.arange(n, device=magnitude.device) for n in magnitude.shape[1:])
        turns: Tensor = (bins[:, None] * frames) % 4
        return (turns * (torch.pi / 2)).to(magnitude.dtype).expand_as(magnitude)

    def _spectrum(self, samples: Tensor) -> Tensor:
        return torch.stft(
            samples, WINDOW, HOP, window=self.get_buffer("taper"), center=False, return_complex=True
        )

    def _samples(self, spectrum: Tensor) -> Tensor:
        """Overlapped frames `[B, 513, F]` -> samples `[B, (F + 3) * 256]`, by least squares."""
        taper = self.get_buffer("taper")
        frames = torch.fft.irfft(spectrum, dim=1) * taper[:, None]
        weights = (taper.square()[:, None]).expand(1, -1, spectrum.shape[-1])
        length = (spectrum.shape[-1] + OVERLAP) * HOP
        summed, weight = (
            fold(part.contiguous(), (1, length), (1, WINDOW), stride=(1, HOP))[:, 0, 0]
            for part in (frames, weights)
        )
        return summed / weight.clamp(min=1e-4)
