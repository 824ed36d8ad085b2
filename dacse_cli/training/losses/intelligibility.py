"""Short-time objective intelligibility (STOI, Taal et al. 2011) as a loss with a gradient.

Correlation of the envelopes of third-octave bands over 384 ms, of the target and of the estimate limited to
15 dB below it, as published; at 16 kHz instead of 10, and frames without speech are left out by a mask
instead of being cut from the signal. `tests/training/test_losses.py` compares it with the package `pystoi`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

RATE = 16_000
FRAME, HOP, FFT = 410, 205, 512
"""25.6 ms, half overlapping."""
BANDS, LOWEST = 15, 150.0
"""Third octaves, and the centre of the first, Hz."""
SEGMENT, STEP = 30, 6
"""Frames that are correlated, and frames between two such segments."""
LIMIT = 1.0 + 10.0 ** (15.0 / 20.0)
PAUSE = 1e-4
"""Share of the loudest frame's power below which a frame is a pause, -40 dB."""


class Unintelligibility(nn.Module):
    """Estimate and target [B, S] at 16 kHz -> 1 - STOI [B]; 0 for rows without a segment of speech."""

    def __init__(self) -> None:
        super().__init__()
        frequencies = torch.fft.rfftfreq(FFT, 1 / RATE)
        centres = LOWEST * 2.0 ** (torch.arange(BANDS) / 3)
        low, high = (centres[:, None] * 2.0**side for side in (-1 / 6, 1 / 6))
        self.register_buffer("bands", ((frequencies >= low) & (frequencies < high)).float())

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """See the class."""
        ours, theirs = self._envelopes(estimate), self._envelopes(target)
        power = theirs.square().sum(2)
        speaks = (power > PAUSE * power.amax(1, keepdim=True)).float()
        counts = (speaks.unfold(1, SEGMENT, STEP).mean(2) > 0.5).float()
        ours, theirs = (
            envelopes.unfold(1, SEGMENT, STEP) for envelopes in (ours, theirs)
        )  # [B, n, bands, 30]
        gain = (theirs.square().sum(3, keepdim=True) / (ours.square().sum(3, keepdim=True) + 1e-9)).sqrt()
        ours = torch.minimum(gain.detach() * ours, LIMIT * theirs)
        ours, theirs = (part - part.mean(3, keepdim=True) for part in (ours, theirs))
        lengths = [(part.square().sum(3) + 1e-6).sqrt() for part in (ours, theirs)]
        correlation = ((ours * theirs).sum(3) / (lengths[0] * lengths[1])).mean(2)
        return ((1.0 - correlation) * counts).sum(1) / counts.sum(1).clamp_min(1.0)

    def _envelopes(self, rows: Tensor) -> Tensor:
        """Root of the power of each band, [B, T, bands]."""
        window = torch.hann_window(FRAME, device=rows.device)
        spectra = torch.stft(
            rows, FFT, HOP, win_length=FRAME, window=window, center=False, return_complex=True
        )
        power = spectra.real.square() + spectra.imag.square()
        envelopes: Tensor = (power.transpose(1, 2) @ self.get_buffer("bands").T + 1e-9).sqrt()
        return envelopes
