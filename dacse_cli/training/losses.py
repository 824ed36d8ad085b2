"""How far a reconstruction is from its original: pure functions of two signals, shared STFTs.

The seven mel scales of the DAC recipe (windows 32..2048, 5..320 bins), and compressed complex spectra,
which hear phase where there is energy. Logarithms are taken of mel + FLOOR, not of max(mel, 1e-5): with the
recipe's floor the gradient is ruled by pauses (1 / 1e-5 a bin), and the first 250 steps of a linear warm
start took held-out STOI from 0.80 to 0.75. No adversarial terms: they are for when hours are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from librosa import filters  # type: ignore[attr-defined]
from torch import Tensor, nn

SCALES = ((32, 5), (64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320))
"""(window, mel bins) of the DAC recipe; the hop is a quarter of a window."""
COMPLEX_WINDOWS = (256, 512, 1024)
FLOOR = 2e-3
"""Mel magnitude of what nobody hears: speech at -24 dB of full scale reaches 1 to 5 in these windows."""


@dataclass(frozen=True)
class Distance:
    """Scalars; `mel` sums seven log distances, `spectrum` three complex and three magnitude ones."""

    mel: Tensor
    spectrum: Tensor
    wave: Tensor

    def total(self, spectrum_weight: float = 2.0, wave_weight: float = 2.0) -> Tensor:
        """What is minimised."""
        return self.mel + spectrum_weight * self.spectrum + wave_weight * self.wave


class SpectralDistance(nn.Module):
    """Distances of `heard` [B, S] from `meant` [B, S] at one sampling rate."""

    def __init__(
        self, rate: int, *, floor: float = FLOOR, complex_windows: Sequence[int] = COMPLEX_WINDOWS
    ) -> None:
        super().__init__()
        self._floor, self._complex_windows = floor, tuple(complex_windows)
        for window, bins in SCALES:
            bank = filters.mel(sr=rate, n_fft=window, n_mels=bins)
            self.register_buffer(f"bank{window}", torch.from_numpy(bank), persistent=False)
            self.register_buffer(f"window{window}", torch.hann_window(window), persistent=False)

    def forward(self, heard: Tensor, meant: Tensor) -> Distance:
        """All distances; a scale's STFT is computed once for both signals."""
        mel, spectrum = heard.new_zeros(()), heard.new_zeros(())
        both = torch.cat([heard, meant])
        for window, _ in SCALES:
            taper, bank = getattr(self, f"window{window}"), getattr(self, f"bank{window}")
            stft = torch.stft(both, window, window // 4, window=taper, return_complex=True)  # [2B, F, T]
            magnitude = stft.abs()
            mel = mel + _between_halves((bank @ magnitude + self._floor).log10())
            if window in self._complex_windows:
                power = magnitude.square() + 1e-4
                complex_root = torch.view_as_real(stft) * power.pow(-0.25).unsqueeze(-1)
                spectrum = spectrum + _between_halves(complex_root) + _between_halves(power.pow(0.25))
        return Distance(mel, spectrum, (heard - meant).abs().mean())


def _between_halves(both: Tensor) -> Tensor:
    """Mean absolute difference of the first and the second half of axis 0."""
    heard, meant = both.chunk(2)
    return (heard - meant).abs().mean()
