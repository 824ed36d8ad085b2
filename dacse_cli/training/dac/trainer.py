"""A codec in training: it against the discriminators, one step of each a step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DacModel

from dacse_cli.training.dac.crops import Crops
from dacse_cli.training.dac.discriminators import Discriminators, halves
from dacse_cli.training.dac.losses import feature_distance, fooling, telling_apart
from dacse_cli.training.dac.network import write_codec_folder
from dacse_cli.training.dac.recipe import CodecRecipe, CodecStage
from dacse_cli.training.dac.usage import Usage, move, places, taken
from dacse_cli.training.losses import SpectralDistance
from dacse_cli.training.runs.chance import seed_of, torch_rng
from dacse_cli.training.runs.loop import Numbers
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.optimizers import set_rate

PUBLISHED_FLOOR = 1e-5
"""Least mel magnitude whose logarithm is compared, as in the released recipe."""


class Reconstruction(nn.Module):
    """A codec from wave to wave; what several processes wrap."""

    def __init__(self, model: DacModel, machine: Machine, bf16: bool) -> None:
        super().__init__()
        self.model, self._machine, self._bf16 = model, machine, bf16

    def forward(self, wav: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """`wav` [B, S] -> (reconstruction [B, S], commitment, codebook loss, codes [B, K, T], latents)."""
        with self._machine.autocast(self._bf16):
            latent = self.model.encoder(wav[:, None])
        quantized, codes, projected, commitment, codebook = self.model.quantizer(latent.float())
        with self._machine.autocast(self._bf16):
            made = self.model.decoder(quantized)[:, 0].float()
        made = nn.functional.pad(made, (0, wav.shape[1] - made.shape[1]))  # odd strides lose a few samples
        return made, torch.as_tensor(commitment).mean(), torch.as_tensor(codebook).mean(), codes, projected


class CodecTrainer:
    """Codec, discriminators, their optimizers, and the crops of the stage."""

    def __init__(
        self,
        model: DacModel,
        recipe: CodecRecipe,
        machine: Machine,
        crops: Callable[[int], Crops],
        held_out: Sequence[Tensor],
    ) -> None:
        """`crops(stage)` makes a stage's; `held_out` are this process's batches [B, S] to measure with."""
        self._recipe, self._machine, self._crops, self._held_out = recipe, machine, crops, held_out
        self._codec = Reconstruction(model, machine, recipe.run.bf16)
        torch.manual_seed(seed_of(recipe.run.seed, 1))
        self._judges = Discriminators(recipe.discriminators)
        self._wrapped, self._wrapped_judges = machine.wrap(self._codec), machine.wrap(self._judges)
        self._distance = SpectralDistance(
            model.config.sampling_rate, floor=PUBLISHED_FLOOR, complex_windows=()
        ).to(machine.device)
        self._usage = Usage.of(model.config.n_codebooks, model.config.codebook_size)

    @property
    def columns(self) -> Sequence[str]:
        """Losses, and the use of each codebook."""
        used = [f"used_{k}" for k in range(1, len(self._usage.counts) + 1)]
        losses = ("loss", "mel", "features", "adversarial", "codebook", "commitment", "discriminator")
        return (*losses, "gradient", "rate", "perplexity", "revived", "seconds", *used, "valid_loss")

    def begin(self, stage: int) -> None:
        """New optimizers; discriminators and codec stay as they are."""
        self._number, self._stage = stage, self._recipe.stage[stage]
        self._batches = self._crops(stage)
        self._codec.model.quantizer.quantizer_dropout = self._stage.dropout
        first, second = self._stage.betas
        self._optimizers = [
            torch.optim.AdamW(network.parameters(), lr=self._stage.rate, betas=(first, second))
            for network in (self._codec, self._judges)
        ]
        self._usage.reset()

    def step(self, number: int) -> Numbers:
        """The discriminators learn, then the codec, from the same crops."""
        began, stage, machine = time.monotonic(), self._stage, self._machine
        rate = pace(stage, number)
        set_rate(self._optimizers, rate)
        torch.manual_seed(seed_of(self._recipe.run.seed, self._number, number, machine.rank))
        real = torch.from_numpy(self._batches.batch(number * machine.count + machine.rank, stage.rows))
        real = real.to(machine.device)
        self._wrapped.train()
        made, commitment, codebook, codes, projected = self._wrapped(real)
        judged = self._judge(real, made.detach()) if stage.adversarial else 0.0
        losses = {"mel": self._distance(made, real).mel, "codebook": codebook, "commitment": commitment}
        if stage.adversarial:
            losses |= self._verdict(real, made)
        weights = vars(self._recipe.weights)
        loss = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = nn.utils.clip_grad_norm_(self._codec.parameters(), stage.clip)
        self._move(0)
        numbers = self._watch(codes, projected.detach(), number)
        return numbers | {
            **{name: float(value.detach()) for name, value in losses.items()},
            "loss": float(loss.detach()),
            "discriminator": judged,
            "gradient": float(gradient),
            "rate": rate,
            "seconds": time.monotonic() - began,
        }

    @torch.no_grad()
    def validate(self) -> Numbers:
        """Mel distance of what was held out, all codebooks used; nothing where nothing was."""
        self._wrapped.eval()
        summed = torch.zeros(2, device=self._machine.device)
        for wav in self._held_out:
            real = wav.to(self._machine.device)
            distance = self._distance(self._codec(real)[0], real).mel
            summed += torch.stack([distance * len(real), torch.full_like(distance, len(real))])
        total, rows = self._machine.sum(summed).tolist()
        return {"valid_loss": total / rows} if rows else {}

    def state(self) -> dict[str, Any]:
        """Both networks, both optimizers, and which codes were used."""
        return {
            "codec": self._codec.model.state_dict(),
            "judges": self._judges.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "usage": self._usage.counts,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self._codec.model.load_state_dict(state["codec"])
        self._judges.load_state_dict(state["judges"])
        for optimizer, stored in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)
        self._usage.counts = state["usage"]

    def write(self, folder: Path) -> None:
        """The codec as a folder."""
        write_codec_folder(folder, self._codec.model)

    def _judge(self, real: Tensor, made: Tensor) -> float:
        """One step of the discriminators; their loss."""
        self._judges.requires_grad_(True)
        with self._machine.autocast(self._recipe.run.bf16):
            features = self._wrapped_judges(torch.cat([real, made]))
        loss = telling_apart(*halves(features))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._judges.parameters(), self._stage.clip / 100.0)
        self._move(1)
        return float(loss.detach())

    def _verdict(self, real: Tensor, made: Tensor) -> dict[str, Tensor]:
        """What the codec hears from the discriminators, which do not learn from it."""
        self._judges.requires_grad_(False)
        with self._machine.autocast(self._recipe.run.bf16):
            features = self._judges(torch.cat([real, made]))
        before, after = halves(features)
        return {"features": feature_distance(before, after), "adversarial": fooling(after)}

    def _move(self, which: int) -> None:
        self._optimizers[which].step()
        self._optimizers[which].zero_grad(set_to_none=True)

    def _watch(self, codes: Tensor, projected: Tensor, number: int) -> Numbers:
        """Count codes; now and then move the dead ones."""
        self._usage.add(self._machine.sum(taken(codes, self._usage.counts.shape[1])))
        numbers = {f"used_{k}": float(share) for k, share in enumerate(self._usage.shares(), 1)}
        numbers |= {"perplexity": float(self._usage.perplexity().mean()), "revived": 0.0}
        every = self._stage.revive_every
        if every and (number + 1) % every == 0:
            dead = self._usage.dead()
            self._revive(dead, projected, number)
            numbers["revived"] = float(dead.sum())
            self._usage.reset()
        return numbers

    def _revive(self, dead: Tensor, projected: Tensor, number: int) -> None:
        """The same new codes in all processes: the first one's latents."""
        found = places(projected, dead, torch_rng(self._recipe.run.seed, self._number, number, 2))
        mine = 1.0 if self._machine.first else 0.0
        move(self._codec.model, dead, [self._machine.sum(latents * mine) for latents in found])


def pace(stage: CodecStage, number: int) -> float:
    """Learning rate of step `number`, from 0."""
    warm = min(1.0, (number + 1) / stage.warm_up) if stage.warm_up else 1.0
    return stage.rate * warm * math.exp(number * math.log(stage.decay))
