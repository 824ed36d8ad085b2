"""A SET network in training on pairs: its loss, annealing, and measurements of its own output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dacse_cli.set.network import SetNetwork
from dacse_cli.training.lm.pairs.source import CodeBatch
from dacse_cli.training.lm.pairs.trainer import (
    STEP_COLUMNS,
    VALID_COLUMNS,
    Found,
    Key,
    PairTrainer,
    StageData,
    Write,
)
from dacse_cli.training.runs.chance import torch_rng
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import NewBob, Pace
from dacse_cli.training.set.batch import Batch, collate
from dacse_cli.training.set.objective import Objective, Scores
from dacse_cli.training.set.pasts import shown_past, written
from dacse_cli.training.set.recipe import SetRecipe, Stage
from dacse_cli.training.steps.optimizers import make_optimizers


class SetTrainer(PairTrainer[SetNetwork, Stage, Batch]):
    """A network and the data of the stage it is in."""

    unit = "frames"
    columns = (*STEP_COLUMNS, "frames_per_second", *VALID_COLUMNS, "free_accuracy_first")

    def __init__(
        self,
        network: SetNetwork,
        recipe: SetRecipe,
        machine: Machine,
        data: StageData[Stage],
        write: Write[SetNetwork, Stage],
    ) -> None:
        self._objective, self._codebooks = Objective(network).to(machine.device), network.shape.codebooks
        super().__init__(network, self._objective, self._codebooks or 1, recipe, machine, data, write)

    def begin(self, stage: int, fresh: bool) -> None:
        """A new optimizer, the rate not yet annealed, and the stage's data."""
        super().begin(stage, fresh)
        self._bob = NewBob(**vars(self._stage.annealing))

    @property
    def factor(self) -> float:  # type: ignore[override]
        """Of the annealing, on the learning rate."""
        return self._bob.factor

    def collated(self, pairs: CodeBatch) -> Batch:
        """`pairs` on the device."""
        return collate(pairs, self._machine, self._codebooks)

    def counted(self, batch: Batch) -> tuple[float, float, float]:
        """Frames, codes, frames."""
        return batch.total, batch.total * self._books, batch.total

    def learnt(self, objective: nn.Module, batch: Batch, key: Key) -> Found:
        """The mean loss of the codebooks after the stage's kind of past."""
        options = self._stage
        past = shown_past(self.network, batch, options, torch_rng(*key, 1))
        scores: Scores = objective(batch, past, options.smoothing, options.loss)
        return (scores.losses * self._weights).mean(), scores.hits

    def measured(self, batch: Batch) -> Found:
        """The mean loss of the codebooks after the correct past."""
        past = shown_past(self.network, batch, Stage(), torch.Generator())
        scores: Scores = self._objective(batch, past, loss=self._stage.loss)
        return scores.losses.float().mean(), scores.hits

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """As for all networks; the rate is annealed by the token error for the kind of past in the stage."""
        found = super().validate()
        if found:
            self._bob.see(self._watched(found))
        return found

    def _watched(self, found: Mapping[str, float]) -> float:
        """The value by which the rate is annealed."""
        if self._codebooks is None:
            return found["valid_loss"]
        own = self._stage.past != "clean" and "free_accuracy" in found
        return 1.0 - found["free_accuracy" if own else "valid_accuracy"]

    def accuracy(self, name: str, hits: Tensor, answers: float) -> dict[str, Tensor]:
        """Shares of correct codes; empty for latents."""
        return {} if self._codebooks is None else super().accuracy(name, hits, answers)

    def freely(self) -> dict[str, float]:
        """Accuracy of the network's own output on the first held-out batches."""
        if self.network.predictor is None or not self._free_batches:
            return {}
        stage = self._stage
        how = "beam" if stage.past == "beam" else "greedy"
        hits, frames = torch.zeros(self._books), 0.0
        for pairs in self._held_out[: self._free_batches]:
            batch = self.collated(pairs)
            right = written(self.network, batch, how, stage.beam, stage.expansion) == batch.clean
            for row, own in enumerate(batch.frames):
                hits += right[row, :own].sum(dim=0).cpu()
            frames += batch.total
        *sums, frames = self._machine.total([*hits.tolist(), frames])
        if not frames:
            return {}
        accuracy = self.accuracy("free_", torch.tensor(sums), frames * self._books)
        return {name: float(value) for name, value in accuracy.items()}

    def state(self) -> dict[str, Any]:
        """Weights, optimizer and annealing; everything else follows from the recipe and the step."""
        return {**super().state(), "annealing": dict(vars(self._bob))}

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        super().restore(state)
        self._bob = NewBob(**state["annealing"])

    def moved_by(self, options: Stage) -> tuple[list[torch.optim.Optimizer], Pace]:
        """AdamW for all weights."""
        optimizers = make_optimizers(
            "adamw",
            self._objective.named_parameters(),
            rate=options.rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
        )
        return optimizers, Pace(options.rate, options.warm_up, cosine=options.cosine)
