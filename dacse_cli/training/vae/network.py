"""The autoencoder in training, from mel to mel, and its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from dacse_cli.codec.vae.autoencoder import Autoencoder
from dacse_cli.codec.vae.shape import VaeShape
from dacse_cli.errors import CodecError
from dacse_cli.training.export import write_json, write_weights
from dacse_cli.training.losses.dispersive import dispersive_loss
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.steps.adversarial import Made
from dacse_cli.weights.folding import fold_weight_norm

Batch: TypeAlias = tuple[Tensor, Tensor | None]
"""Log-mels [B, 80, F], noise for the latents [B, W, T]."""


class VaeNetwork(nn.Module):
    """What several processes wrap: the autoencoder, all convolutions weight-normed."""

    def __init__(self, autoencoder: Autoencoder, machine: Machine, bf16: bool) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self._machine, self._bf16 = machine, bf16
        for module in autoencoder.modules():
            if isinstance(module, nn.Conv2d):
                weight_norm(module)

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


@torch.no_grad()
def write_vae(folder: Path, network: VaeNetwork, shape: VaeShape, vocoder: dict[str, Tensor]) -> None:
    """A folder for `--codec`: weight norm folded, with the tensors of a vocoder (`vocoder.*`)."""
    state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    write_json(folder / "config.json", shape.config())
    write_weights(folder, {**fold_weight_norm(state, CodecError), **vocoder}, torch.float32)
