"""BigVGAN in training: from the mels of recordings to their samples.

Its authors' own recipe (discriminators of a constant-Q transform, 5 million steps) is not repeated: a trained
vocoder is fine-tuned with the discriminators and the mel distance of the codec's training, and the weights
that BigVGAN gives them (15, 2 and 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from dacse_cli.codec.vae.mel import MelSpectrum
from dacse_cli.codec.vae.shape import SAMPLE_RATE
from dacse_cli.training.codec.recipe import BANDS
from dacse_cli.training.codec.recipe import DiscriminatorPart as WaveDiscriminatorPart
from dacse_cli.training.losses.discriminators import WaveDiscriminators
from dacse_cli.training.losses.spectra import SpectralDistance
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.steps.adversarial import Made
from dacse_cli.training.vae.network import start_from, weight_norm_all
from dacse_cli.training.vae.recipe import VaeRecipe

Batch: TypeAlias = tuple[Tensor, Tensor]
"""Log-mels [B, 80, F] and samples [B, F * 256]."""


class VocoderNetwork(nn.Module):
    """The vocoder as the module wrapped for several processes, all convolutions weight-normed."""

    def __init__(self, vocoder: nn.Module, machine: Machine, bf16: bool, given: Mapping[str, Tensor]) -> None:
        """`given`: tensors to start from (`vocoder.*`), if any."""
        super().__init__()
        self.vocoder = vocoder
        self._machine, self._bf16 = machine, bf16
        start_from(vocoder, given, "vocoder.")
        weight_norm_all(vocoder)

    def forward(self, batch: Batch) -> Made:
        """Samples made of mels, and the recording's."""
        mel, wav = batch
        with self._machine.autocast(self._bf16):
            made = self.vocoder(mel)
        return Made(made.float(), wav)


class VocoderPart:
    """A `Part`: the vocoder, discriminators of periods and spectra, multi-scale mel distance."""

    measures: Sequence[str] = ("valid_loss",)

    def __init__(self, network: VocoderNetwork, recipe: VaeRecipe, machine: Machine) -> None:
        self.network: nn.Module = network
        self._mel = MelSpectrum()
        options = WaveDiscriminatorPart()
        self.discriminators: nn.Module = WaveDiscriminators(
            options.periods, options.windows, recipe.discriminators.wave_width, BANDS
        )
        self.weights: Mapping[str, float] = vars(recipe.vocoder_weights)
        self._distance = SpectralDistance(SAMPLE_RATE, complex_windows=()).to(machine.device)

    def batch(self, wav: Tensor, noise: float, chance: torch.Generator) -> Batch:
        """Log-mels of crops [B, S] and the crops; without noise or randomness."""
        return self._mel(wav), wav

    def losses(self, estimate: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The seven mel distances of the codec's training."""
        return {"mel": self._distance(estimate, target).mel}

    def measured(self, wav: Tensor, noise: float, chance: torch.Generator) -> dict[str, Tensor]:
        """Mean absolute difference of the released model's log-mels."""
        mel = self._mel(wav)
        return {"valid_loss": (self._mel(self.network((mel, wav)).estimate) - mel).abs().mean()}
