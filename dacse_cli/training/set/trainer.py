"""A SET network in training: its loss, validation, checkpoint, folder. The step itself is shared."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from dacse_cli.set.network import SetNetwork
from dacse_cli.training.lm.pairs.source import CodeBatch, Source
from dacse_cli.training.lm.trainer import line
from dacse_cli.training.runs.chance import seed_of, torch_rng
from dacse_cli.training.runs.loop import Numbers
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import NewBob, Pace
from dacse_cli.training.set.batch import Batch, collate
from dacse_cli.training.set.objective import Objective, Scores
from dacse_cli.training.set.pasts import shown_past, written
from dacse_cli.training.set.recipe import SetRecipe, Stage
from dacse_cli.training.steps.optimizers import make_optimizers
from dacse_cli.training.steps.supervised import SupervisedStep

Write: TypeAlias = Callable[[Path, SetNetwork, Stage], None]
"""(folder, network, stage): writes the model folder."""
StageData: TypeAlias = Callable[[int, Stage], tuple[Source, Sequence[CodeBatch]]]
"""(number of the stage, stage) -> the source of its batches, and its validation batches."""


class SetTrainer:
    """A network and the data of the stage it is in."""

    columns = (
        "loss",
        "rate",
        "gradient",
        "accuracy",
        "accuracy_first",
        "frames_per_second",
        "wait",
        "valid_loss",
        "valid_accuracy",
        "valid_accuracy_first",
        "free_accuracy",
        "free_accuracy_first",
    )

    def __init__(
        self, network: SetNetwork, recipe: SetRecipe, machine: Machine, data: StageData, write: Write
    ) -> None:
        self._recipe, self._machine, self._data, self._write = recipe, machine, data, write
        self._stages = recipe.stages()
        self._objective = Objective(network).to(machine.device)
        self._books = network.shape.codebooks
        self._source: Source | None = None

    @property
    def _network(self) -> SetNetwork:
        return self._objective.network

    def begin(self, stage: int, fresh: bool) -> None:
        """A new optimizer and the stage's data."""
        self._number, self._stage = stage, self._stages[stage]
        options = self._stage
        self.close()
        self._source, self._held_out = self._data(stage, options)
        self._weights = line(options.weights, self._books or 1).to(self._machine.device)
        optimizers = make_optimizers(
            "adamw",
            self._objective.named_parameters(),
            rate=options.rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
        )
        pace = Pace(options.rate, options.warm_up, cosine=options.cosine)
        self._moves = SupervisedStep(self._objective, self._machine, optimizers, pace, clip=options.clip)
        self._bob = NewBob(**vars(options.annealing))
        self._mark = time.monotonic()

    def step(self, number: int, share: float) -> Numbers:
        """Backward passes over `accumulate` batches, then one update of the weights."""
        machine, options = self._machine, self._stage
        with machine.together():
            began = time.monotonic()
            parts = [self._part(number * options.accumulate + part) for part in range(options.accumulate)]
            wait = time.monotonic() - began
        (frames,) = machine.total([float(sum(part.total for part in parts))])

        def loss(part: Batch, place: int, objective: nn.Module) -> tuple[Tensor, Numbers]:
            scores = self._scores(objective, part, number, place)
            # gradients, and numbers of the log, are averaged over the processes, not summed
            found = (scores.losses * self._weights).mean() * (machine.count / frames)
            return found, self._accuracy("", scores.hits.float() * machine.count, frames)

        calls = [partial(loss, part, place) for place, part in enumerate(parts)]
        numbers = self._moves(number, share, calls, self._bob.factor)
        now = time.monotonic()
        numbers |= {"frames_per_second": frames / (now - self._mark), "wait": wait}
        self._mark = now
        return numbers

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Loss and accuracy with the correct past, and accuracy of the network's own output.

        Empty where nothing is held out.
        The rate is annealed by the token error for the kind of past used in the stage.
        """
        self._objective.eval()
        summed = torch.zeros(1 + (self._books or 1), device=self._machine.device)
        frames = 0.0
        for pairs in self._held_out:
            batch = collate(pairs, self._machine, self._books)
            with self._machine.autocast(self._recipe.run.bf16):
                scores: Scores = self._objective(batch, self._teacher(batch), loss=self._stage.loss)
            summed += torch.cat([scores.losses.float().mean()[None], scores.hits.float()])
            frames += batch.total
        loss, *hits = self._machine.sum(summed).tolist()
        (frames,) = self._machine.total([frames])
        if not frames:
            return {}
        accuracy = self._accuracy("valid_", torch.tensor(hits), frames)
        found = {name: float(value) for name, value in accuracy.items()}
        found = {"valid_loss": loss / frames, **found, **self._freely()}
        self._bob.see(self._watched(found))
        return found

    def _watched(self, found: Mapping[str, float]) -> float:
        """The value by which the rate is annealed."""
        if self._books is None:
            return found["valid_loss"]
        own = self._stage.past != "clean" and "free_accuracy" in found
        return 1.0 - found["free_accuracy" if own else "valid_accuracy"]

    def _accuracy(self, name: str, hits: Tensor, frames: float) -> dict[str, Tensor]:
        """Shares of correct codes, of all codebooks and of the first; empty for latents."""
        if self._books is None:
            return {}
        right = hits / frames
        return {f"{name}accuracy": right.mean(), f"{name}accuracy_first": right[0]}

    def _freely(self) -> dict[str, float]:
        """Accuracy of the network's own output on the first held-out batches."""
        if self._network.predictor is None or not self._recipe.data.free_batches:
            return {}
        stage = self._stage
        how = "beam" if stage.past == "beam" else "greedy"
        hits, frames = torch.zeros(self._books or 1), 0.0
        for pairs in self._held_out[: self._recipe.data.free_batches]:
            batch = collate(pairs, self._machine, self._books)
            right = written(self._network, batch, how, stage.beam, stage.expansion) == batch.clean
            for row, own in enumerate(batch.frames):
                hits += right[row, :own].sum(dim=0).cpu()
            frames += batch.total
        *sums, frames = self._machine.total([*hits.tolist(), frames])
        if not frames:
            return {}
        return {name: float(v) for name, v in self._accuracy("free_", torch.tensor(sums), frames).items()}

    def _teacher(self, batch: Batch) -> Tensor | None:
        """The correct past."""
        return shown_past(self._network, batch, Stage(), torch.Generator())

    def state(self) -> dict[str, Any]:
        """Weights, optimizer and annealing; everything else follows from the recipe and the step."""
        return {
            "model": self._network.state_dict(),
            "step": self._moves.state(),
            "annealing": dict(vars(self._bob)),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self._network.load_state_dict(state["model"])
        self._moves.restore(state["step"])
        self._bob = NewBob(**state["annealing"])

    def write(self, folder: Path) -> None:
        """The network as a model folder."""
        self._write(folder, self._network, self._stage)

    def close(self) -> None:
        """End threads and processes that mix in advance."""
        if self._source is not None:
            self._source.close()

    def _part(self, number: int) -> Batch:
        """This process's batch of backward pass `number` of the stage."""
        assert self._source is not None
        machine = self._machine
        return collate(self._source.batch(number * machine.count + machine.rank), machine, self._books)

    def _scores(self, objective: nn.Module, part: Batch, number: int, place: int) -> Scores:
        options = self._stage
        key = (self._recipe.run.seed, self._number, number, place, self._machine.rank)
        torch.manual_seed(seed_of(*key))  # of dropout
        with self._machine.autocast(self._recipe.run.bf16):
            past = shown_past(self._network, part, options, torch_rng(*key, 1))
            scores: Scores = objective(part, past, options.smoothing, options.loss)
        return scores
