"""A mask network in training: its loss, validation, checkpoint, folder. The step itself is shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dacse_cli.filters.mask.load import CONFIG, mask_config_values
from dacse_cli.training.export import write_json, write_weights
from dacse_cli.training.losses.compressed import compressed_distance
from dacse_cli.training.mask.guides import SimulatedGuides
from dacse_cli.training.mask.objective import COLUMNS, Objective
from dacse_cli.training.mask.recipe import MaskRecipe
from dacse_cli.training.mask.wave import WaveFilter
from dacse_cli.training.mix.live import LiveMix, make_batch
from dacse_cli.training.runs.ahead import Ahead
from dacse_cli.training.runs.loop import Numbers
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.steps.average import Average
from dacse_cli.training.steps.optimizers import is_matrix, make_optimizers
from dacse_cli.training.steps.supervised import SupervisedStep

BETAS = (0.9, 0.99)
ADAMW_ONLY = ("place", "depth", "split", "head")
"""Weights that Muon does not apply to: not matrices between channels, or one matrix per band."""


class MaskTrainer:
    """The network and the rows of the stage it is in."""

    columns = ("loss", *COLUMNS, "rate", "gradient", "wait", "valid_loss")

    def __init__(
        self,
        network: WaveFilter,
        recipe: MaskRecipe,
        machine: Machine,
        mixes: Callable[[int], LiveMix],
        held_out: Sequence[Tensor],
        jobs: int,
        guides: SimulatedGuides | None = None,
    ) -> None:
        """`mixes(stage)`: where its rows come from; made by `jobs` processes ahead of their use.

        `held_out`: this process's noisy and clean rows [2, B, S] to measure with.
        """
        self._guides = guides
        self._network, self._recipe, self._machine = network.to(machine.device), recipe, machine
        self._mixes, self._held_out, self._jobs = mixes, held_out, jobs
        self._batches: Ahead[Any] | None = None

    def begin(self, stage: int, fresh: bool) -> None:
        """New optimizers and a new average."""
        self._stage = options = self._recipe.stage[stage]
        self.close()
        optimizers = make_optimizers(
            options.optimizer,
            self._network.named_parameters(),
            rate=options.rate,
            betas=BETAS,
            muon=_is_muons,
        )
        self._average = Average(self._network, options.average)
        self._moves = SupervisedStep(
            self._network,
            self._machine,
            optimizers,
            Pace(options.rate, options.warm_up, tail=options.tail),
            clip=options.clip,
            average=self._average,
        )
        self._objective = Objective(
            options, self._machine, self._recipe.run.bf16, self._recipe.data.recogniser
        )
        rows = options.rows // self._machine.count
        self._batches = Ahead(
            make_batch, (self._mixes(stage), rows), jobs=self._jobs, stride=self._machine.count
        )

    def step(self, number: int, share: float) -> Numbers:
        """One batch, one update of the weights."""
        machine = self._machine
        assert self._batches is not None
        waited = self._batches.waited
        with machine.together():
            rows = self._batches.get(number * machine.count + machine.rank)
        noisy, clean = machine.tensor(rows)

        batch = number * machine.count + machine.rank
        guides = self._guides(noisy, clean, batch) if self._guides is not None else {}

        def loss(network: nn.Module) -> tuple[Tensor, Numbers]:
            estimate = network(noisy, guides)
            return self._objective(estimate, clean, noisy, number)  # type: ignore[no-any-return]

        return {**self._moves(number, share, [loss]), "wait": self._batches.waited - waited}

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Loss on held-out rows without guides, with the averaged weights; empty where none were held out."""
        summed = torch.zeros(2, device=self._machine.device)
        with self._average.swapped():
            for pair in self._held_out:
                noisy, clean = pair.to(self._machine.device)
                found = compressed_distance(self._network(noisy), clean, noisy, 0.0)
                summed += torch.stack([found * len(clean), torch.full_like(found, len(clean))])
        total, rows = self._machine.sum(summed).tolist()
        return {"valid_loss": total / rows} if rows else {}

    def state(self) -> dict[str, Any]:
        """Weights, optimizers, average."""
        return {"network": self._network.state_dict(), "step": self._moves.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self._network.load_state_dict(state["network"])
        self._moves.restore(state["step"])

    def write(self, folder: Path) -> None:
        """The averaged network as a folder for `enhance --model`."""
        network = self._network.network
        write_json(folder / CONFIG, mask_config_values(network.config))
        with self._average.swapped():
            write_weights(folder, network.state_dict(), torch.float32)

    def close(self) -> None:
        """End threads and processes that mix in advance."""
        if self._batches is not None:
            self._batches.close()


def _is_muons(name: str, weight: nn.Parameter) -> bool:
    return is_matrix(name, weight) and not any(part in ADAMW_ONLY for part in name.split("."))
