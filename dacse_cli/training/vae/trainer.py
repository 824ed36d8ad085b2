"""A speech VAE in training: its losses, validation, checkpoint, folder. The step itself is shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dacse_cli.codec.vae.autoencoder import sigma_noise
from dacse_cli.codec.vae.mel import MelSpectrum
from dacse_cli.codec.vae.shape import VaeShape
from dacse_cli.training.losses.mel_discriminators import MelDiscriminators
from dacse_cli.training.mix.live import LiveMix, make_batch
from dacse_cli.training.runs.ahead import Ahead
from dacse_cli.training.runs.chance import seed_of, torch_rng
from dacse_cli.training.runs.loop import Numbers
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.steps.adversarial import AdversarialOptions, AdversarialStep
from dacse_cli.training.steps.optimizers import make_optimizers
from dacse_cli.training.vae.network import VaeNetwork, is_direction, write_vae
from dacse_cli.training.vae.recipe import VaeRecipe, VaeStage


class VaeTrainer:
    """Autoencoder, discriminators, and the crops of the stage."""

    columns = ("loss", "mel", "dispersive", "features", "adversarial", "discriminator", "gradient", "rate",
               "wait", "valid_noisy", "valid_loss")  # fmt: skip

    def __init__(
        self,
        network: VaeNetwork,
        shape: VaeShape,
        vocoder: dict[str, Tensor],
        recipe: VaeRecipe,
        machine: Machine,
        mixes: Callable[[int], LiveMix],
        held_out: Sequence[Tensor],
        jobs: int,
    ) -> None:
        """`vocoder`: tensors that are written beside the autoencoder's.

        `mixes(stage)`: where a stage's crops come from; made by `jobs` processes ahead of their use.
        `held_out`: this process's batches [B, S] to measure with.
        """
        self._network, self._shape, self._vocoder = network.to(machine.device), shape, vocoder
        self._recipe, self._machine, self._mixes, self._jobs = recipe, machine, mixes, jobs
        self._held_out = held_out
        torch.manual_seed(seed_of(recipe.run.seed, 1))
        options = recipe.discriminators
        self._discriminators = MelDiscriminators(options.band_width, options.patch_width)
        self._mel = MelSpectrum()
        self._batches: Ahead[Any] | None = None

    def begin(self, stage: int, fresh: bool) -> None:
        """New optimizers; discriminators and autoencoder stay as they are."""
        self._number, self._stage = stage, self._recipe.stage[stage]
        self._moves = self._new_step(self._stage)
        self.close()
        rows = self._stage.rows // self._machine.count
        self._batches = Ahead(
            make_batch, (self._mixes(stage), rows), jobs=self._jobs, stride=self._machine.count
        )

    def step(self, number: int, share: float) -> Numbers:
        """Autoencoder and discriminators learn from the same crops."""
        machine = self._machine
        assert self._batches is not None
        waited = self._batches.waited
        with machine.together():
            crops = self._batches.get(number * machine.count + machine.rank)
        mel = self._mel(machine.tensor(crops[1]))
        chance = torch_rng(self._recipe.run.seed, self._number, number, 7, machine.rank)
        noise = sigma_noise(self._latents(mel), self._stage.noise, chance)
        numbers, _ = self._moves(number, share, (mel, noise))
        return {**numbers, "wait": self._batches.waited - waited}

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Mean absolute difference of log-mels of what was held out; `valid_noisy` with all of the noise."""
        self._network.eval()
        summed = torch.zeros(3, device=self._machine.device)
        for number, wav in enumerate(self._held_out):
            mel = self._mel(wav.to(self._machine.device))
            chance = torch_rng(self._recipe.run.seed, number, 8)
            noise = torch.randn(self._latents(mel).shape, generator=chance).to(mel) * self._stage.noise
            found = [(self._network((mel, n)).estimate - mel).abs().mean() for n in (noise, None)]
            summed += torch.stack([value * len(wav) for value in (*found, torch.ones_like(found[0]))])
        noisy, plain, rows = self._machine.sum(summed).tolist()
        return {"valid_noisy": noisy / rows, "valid_loss": plain / rows} if rows else {}

    def state(self) -> dict[str, Any]:
        """Networks and optimizers."""
        return {"autoencoder": self._network.state_dict(), "step": self._moves.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self._network.load_state_dict(state["autoencoder"])
        self._moves.restore(state["step"])

    def write(self, folder: Path) -> None:
        """The speech VAE as a folder."""
        write_vae(folder, self._network, self._shape, self._vocoder)

    def close(self) -> None:
        """End threads and processes that read ahead."""
        if self._batches is not None:
            self._batches.close()

    def _latents(self, mel: Tensor) -> Tensor:
        """An empty tensor of the shape of the latents of `mel`."""
        own = self._shape.autoencoder
        return mel.new_empty(len(mel), own.width, mel.shape[-1] // own.reduction)

    def _new_step(self, stage: VaeStage) -> AdversarialStep:
        """Both sides' optimizers and losses for a stage."""
        optimizers = partial(
            make_optimizers,
            stage.optimizer,
            rate=stage.rate,
            betas=stage.betas,
            weight_decay=stage.weight_decay,
            muon=is_direction,
        )
        own = optimizers(self._network.named_parameters())
        discriminators = self._discriminators if stage.adversarial else None
        others: list[torch.optim.Optimizer] = []
        if discriminators is not None:
            discriminators.to(self._machine.device).requires_grad_(True)
            others = optimizers(discriminators.named_parameters())
        return AdversarialStep(
            self._network,
            discriminators,
            self._machine,
            AdversarialOptions(
                weights=vars(self._recipe.weights),
                clip=stage.clip,
                clip_discriminators=stage.clip,
                bf16=self._recipe.run.bf16,
            ),
            own,
            others,
            Pace(stage.rate, stage.warm_up, tail=stage.tail),
            losses=lambda estimate, target: {"mel": (estimate - target).abs().mean()},
        )
