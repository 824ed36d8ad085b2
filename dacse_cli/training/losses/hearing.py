"""How differently a speech recogniser's encoder represents two signals: Whisper's, frozen, as a loss.

Spectral losses weight loud parts most, but words depend on quiet ones too; a recogniser's features emphasise
what distinguishes words. Weights come from a CTranslate2 folder (see `codec.units.whisper`).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from dacse_cli.codec.units.whisper import WhisperEncoder, read_whisper

RANGE = 5.0
"""Range below the loudest bin, in decades; with Whisper's own 8 the gradient was dominated by pauses."""


class Hearing(nn.Module):
    """Distance of an estimate [B, S] from its target [B, S], 16 kHz. Raises `CheckpointError`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        shape, weights = read_whisper(folder)
        self._encoder = WhisperEncoder(shape)
        self._encoder.load_state_dict(weights)
        self._encoder.requires_grad_(False)

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Mean absolute difference of all layers' normalised features; gradients to `estimate`."""
        encoder = self._encoder
        with torch.no_grad():
            spectrum, loudest = encoder.spectrum(target, None, RANGE)
            wanted = encoder.features(spectrum)
        found = encoder.features(encoder.spectrum(estimate, loudest, RANGE)[0])
        total = estimate.new_zeros(())
        for here, there in zip(found, wanted, strict=True):
            deviation = there.float().std((0, 1), keepdim=True).clamp(min=1e-3)
            total = total + ((here.float() - there.float()) / deviation).abs().mean()
        return total / len(wanted)
