"""The autoencoder in training: from mel to mel, with noise on its latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from dacse_cli.codec.vae.autoencoder import Autoencoder, sigma_noise
from dacse_cli.codec.vae.mel import MelSpectrum
from dacse_cli.codec.vae.shape import AutoencoderShape
from dacse_cli.training.losses.dispersive import dispersive_loss
from dacse_cli.training.losses.mel_discriminators import MelDiscriminators
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.steps.adversarial import Made
from dacse_cli.training.vae.recipe import VaeRecipe

Batch: TypeAlias = tuple[Tensor, Tensor | None]
"""Log-mels [B, 80, F], noise for the latents [B, W, T]."""


class VaeNetwork(nn.Module):
    """The autoencoder as the module wrapped for several processes, all convolutions weight-normed."""

    def __init__(
        self,
        autoencoder: Autoencoder,
        machine: Machine,
        bf16: bool,
        given: Mapping[str, Tensor] | None = None,
    ) -> None:
        """`given`: tensors to start from (`autoencoder.*`), if any."""
        super().__init__()
        self.autoencoder = autoencoder
        self._machine, self._bf16 = machine, bf16
        start_from(autoencoder, given or {}, "autoencoder.")
        weight_norm_all(autoencoder)

    def forward(self, batch: Batch) -> Made:
        """Mels decoded from noisy latents; in training their loss `dispersive` (of the clean latents)."""
        mel, noise = batch
        with self._machine.autocast(self._bf16):
            decoded, latents = self.autoencoder(mel, noise)
        losses = {"dispersive": dispersive_loss(latents)} if self.training else {}
        return Made(decoded.float(), mel, losses)


def is_direction(name: str, weight: nn.Parameter) -> bool:
    """Whether a weight is a matrix: all of two and more dimensions but the gains of weight norm."""
    return weight.ndim >= 2 and not name.endswith("original0")


def start_from(network: nn.Module, given: Mapping[str, Tensor], prefix: str) -> None:
    """Load the tensors whose names begin with `prefix`, if there are any."""
    own = {name.removeprefix(prefix): t for name, t in given.items() if name.startswith(prefix)}
    if own:
        network.load_state_dict(own)


def weight_norm_all(network: nn.Module) -> None:
    """Apply weight norm (direction and gain) to all convolutions."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d):
            weight_norm(module)


class AutoencoderPart:
    """A `Part`: the autoencoder, discriminators of bands and patches, mel distance."""

    measures: Sequence[str] = ("valid_noisy", "valid_loss")

    def __init__(self, network: VaeNetwork, shape: AutoencoderShape, recipe: VaeRecipe) -> None:
        self.network: nn.Module = network
        self._shape, self._mel = shape, MelSpectrum()
        options = recipe.discriminators
        self.discriminators: nn.Module = MelDiscriminators(options.band_width, options.patch_width)
        self.weights: Mapping[str, float] = vars(recipe.weights)

    def batch(self, wav: Tensor, noise: float, chance: torch.Generator) -> Batch:
        """Log-mels of crops [B, S], and noise of a deviation up to `noise` for their latents."""
        mel = self._mel(wav)
        return mel, sigma_noise(self._latents(mel), noise, chance)

    def losses(self, estimate: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Mean absolute difference of log-mels."""
        return {"mel": (estimate - target).abs().mean()}

    def measured(self, wav: Tensor, noise: float, chance: torch.Generator) -> dict[str, Tensor]:
        """Mean absolute difference of log-mels; `valid_noisy` at full latent noise."""
        mel = self._mel(wav)
        drawn = torch.randn(self._latents(mel).shape, generator=chance).to(mel) * noise
        noisy, plain = ((self.network((mel, n)).estimate - mel).abs().mean() for n in (drawn, None))
        return {"valid_noisy": noisy, "valid_loss": plain}

    def _latents(self, mel: Tensor) -> Tensor:
        """An empty tensor of the shape of the latents of `mel`."""
        return mel.new_empty(len(mel), self._shape.width, mel.shape[-1] // self._shape.reduction)
