"""A speech VAE in training: its losses, validation, checkpoint, folder. The step itself is shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dacse_cli.codec.vae.shape import VaeShape
from dacse_cli.errors import CodecError
from dacse_cli.training.export import write_json, write_weights
from dacse_cli.training.mix.live import LiveMix, make_batch
from dacse_cli.training.runs.ahead import Ahead
from dacse_cli.training.runs.chance import seed_of, torch_rng
from dacse_cli.training.runs.loop import Numbers
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.steps.adversarial import AdversarialOptions, AdversarialStep
from dacse_cli.training.steps.optimizers import make_optimizers
from dacse_cli.training.vae.network import is_direction
from dacse_cli.training.vae.recipe import VaeRecipe, VaeStage
from dacse_cli.weights.folding import fold_weight_norm


class Part(Protocol):
    """A network of the speech VAE with its training; `network` maps the output of `batch` to `Made`."""

    network: nn.Module
    discriminators: nn.Module
    weights: Mapping[str, float]
    """Weights of all losses by name."""
    measures: Sequence[str]
    """Names of what `measured` finds."""

    def batch(self, wav: Tensor, noise: float, chance: torch.Generator) -> Any:
        """The network's input for crops [B, S]."""

    def losses(self, estimate: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        """Scalars by name."""

    def measured(self, wav: Tensor, noise: float, chance: torch.Generator) -> Mapping[str, Tensor]:
        """Means over held-out crops [B, S], by name."""


class VaeTrainer:
    """The parts of a speech VAE that are trained, and the crops of the stage."""

    columns = ("loss", "mel", "dispersive", "features", "adversarial", "discriminator", "gradient", "rate",
               "wait", "valid_noisy", "valid_loss")  # fmt: skip

    def __init__(
        self,
        parts: Mapping[str, Callable[[], Part]],
        shape: VaeShape,
        rest: Mapping[str, Tensor],
        recipe: VaeRecipe,
        machine: Machine,
        mixes: Callable[[int], LiveMix],
        held_out: Sequence[Tensor],
        jobs: int,
    ) -> None:
        """`parts`: what makes those that stages name; `rest`: tensors of what is not trained, for the folder.

        `mixes(stage)`: where a stage's crops come from; made by `jobs` processes ahead of their use.
        `held_out`: this process's batches [B, S] to measure with.
        """
        self._shape, self._rest, self._recipe, self._machine = shape, rest, recipe, machine
        self._mixes, self._held_out, self._jobs = mixes, held_out, jobs
        torch.manual_seed(seed_of(recipe.run.seed, 1))
        self._parts = {name: make() for name, make in parts.items()}
        for part in self._parts.values():
            part.network.to(machine.device)
        self._batches: Ahead[Any] | None = None

    def begin(self, stage: int, fresh: bool) -> None:
        """New optimizers; discriminators and networks are kept."""
        self._number, self._stage = stage, self._recipe.stage[stage]
        self._part = self._parts[self._stage.part]
        self._moves = self._new_step(self._stage)
        self.close()
        rows = self._stage.rows // self._machine.count
        self._batches = Ahead(
            make_batch, (self._mixes(stage), rows), jobs=self._jobs, stride=self._machine.count
        )

    def step(self, number: int, share: float) -> Numbers:
        """Network and discriminators learn from the same crops."""
        machine = self._machine
        assert self._batches is not None
        waited = self._batches.waited
        with machine.together():
            crops = self._batches.get(number * machine.count + machine.rank)
        chance = torch_rng(self._recipe.run.seed, self._number, number, 7, machine.rank)
        batch = self._part.batch(machine.tensor(crops[1]), self._stage.noise, chance)
        numbers, _ = self._moves(number, share, batch)
        return {**numbers, "wait": self._batches.waited - waited}

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Validation numbers of the stage's part on held-out crops; empty where none were held out."""
        self._part.network.eval()
        names = self._part.measures
        sums = torch.zeros(len(names) + 1, device=self._machine.device)  # the last one counts rows
        for number, wav in enumerate(self._held_out):
            chance = torch_rng(self._recipe.run.seed, number, 8)
            found = self._part.measured(wav.to(self._machine.device), self._stage.noise, chance)
            values = [found[name] for name in names]
            sums += torch.stack([*values, torch.ones_like(values[0])]) * len(wav)
        *totals, count = self._machine.sum(sums).tolist()  # every process takes part, also without a batch
        return {name: total / count for name, total in zip(names, totals, strict=True)} if count else {}

    def state(self) -> dict[str, Any]:
        """Networks, optimizers, and the discriminators of any stage: a later one goes on with them."""
        judged = {stage.part for stage in self._recipe.stage if stage.adversarial}
        return {
            "networks": {name: part.network.state_dict() for name, part in self._parts.items()},
            "discriminators": {name: self._parts[name].discriminators.state_dict() for name in judged},
            "step": self._moves.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        for name, part in self._parts.items():
            part.network.load_state_dict(state["networks"][name])
            if name in state["discriminators"]:
                part.discriminators.load_state_dict(state["discriminators"][name])
        self._moves.restore(state["step"])

    @torch.no_grad()
    def write(self, folder: Path) -> None:
        """The speech VAE as a folder for `--codec`, weight norm folded."""
        trained: dict[str, Tensor] = {}
        for part in self._parts.values():
            trained |= {name: tensor.detach().cpu() for name, tensor in part.network.state_dict().items()}
        write_json(folder / "config.json", self._shape.config())
        write_weights(folder, {**fold_weight_norm(trained, CodecError), **self._rest}, torch.float32)

    def close(self) -> None:
        """End threads and processes that read in advance."""
        if self._batches is not None:
            self._batches.close()

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
        part = self._part
        own = optimizers(part.network.named_parameters())
        discriminators = part.discriminators if stage.adversarial else None
        others: list[torch.optim.Optimizer] = []
        if discriminators is not None:
            discriminators.to(self._machine.device).requires_grad_(True)
            others = optimizers(discriminators.named_parameters())
        return AdversarialStep(
            part.network,
            discriminators,
            self._machine,
            AdversarialOptions(
                weights=part.weights,
                clip=stage.clip,
                clip_discriminators=stage.clip,
                bf16=self._recipe.run.bf16,
            ),
            own,
            others,
            Pace(stage.rate, stage.warm_up, tail=stage.tail),
            losses=part.losses,
        )
