"""Distance of two waves by compressed spectra: the main loss for training a filter.

Magnitudes are raised to the power 0.3, similar to loudness, with and without phase, in three resolutions.
Missing energy of the target has more weight than residual noise, so that an uncertain filter keeps speech.
The distance is independent of a row's level.
"""

from __future__ import annotations

import torch
from torch import Tensor

POWER = 0.3
WINDOWS = (320, 512, 1024)
"""Samples, half overlapping."""
COMPLEX = 0.4
"""Weight of the distance with phase."""
LEAST = 0.05
"""Least level of a target, relative to its noisy recording: rows without speech have one too."""


def compressed_distance(estimate: Tensor, target: Tensor, noisy: Tensor, missing: float = 0.5) -> Tensor:
    """Mean distance of estimate and target [B, S], relative to the target's level.

    `missing`: additional weight of magnitudes that are below the target's.
    """
    level = torch.maximum(_rms(target), LEAST * _rms(noisy)).clamp_min(1e-5)[:, None] * 10.0
    estimate, target = estimate / level, target / level
    total = estimate.new_zeros(())
    for window in WINDOWS:
        ours, theirs = _spectra(estimate, window), _spectra(target, window)
        power, wanted = _power(ours), _power(theirs)
        difference = wanted.pow(POWER / 2) - power.pow(POWER / 2)
        magnitude = (difference.square() * (1.0 + missing * (difference > 0))).mean()
        phases = _power(
            ours * power.pow((POWER - 1) / 2) - theirs * wanted.pow((POWER - 1) / 2), least=0.0
        ).mean()
        total = total + (1.0 - COMPLEX) * magnitude + COMPLEX * phases
    return total


def _rms(rows: Tensor) -> Tensor:
    return rows.square().mean(dim=1).sqrt()


def _spectra(rows: Tensor, window: int) -> Tensor:
    shape = torch.hann_window(window, device=rows.device)
    spectra: Tensor = torch.stft(rows, window, window // 2, window=shape, return_complex=True)
    scaled: Tensor = spectra * (2.0 / window**0.5)
    return scaled


def _power(spectra: Tensor, least: float = 1e-6) -> Tensor:
    return spectra.real.square() + spectra.imag.square() + least
