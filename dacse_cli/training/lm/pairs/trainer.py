"""A network in training on pairs: steps, validation, checkpoint, folder. Each network adds its loss."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from dacse_cli.training.lm.pairs.recipe import PairRecipe, Stage
from dacse_cli.training.lm.pairs.source import CodeBatch, Source
from dacse_cli.training.runs.chance import seed_of
from dacse_cli.training.runs.loop import Numbers
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.steps.supervised import SupervisedStep

STEP_COLUMNS = ("loss", "rate", "gradient", "accuracy", "accuracy_first")
VALID_COLUMNS = ("wait", "valid_loss", "valid_accuracy", "valid_accuracy_first", "free_accuracy")
Found: TypeAlias = tuple[Tensor, Tensor]
"""The summed loss of a batch, and its correct codes by codebook [K]."""
Key: TypeAlias = tuple[int, ...]
"""Seed, stage, step, batch and process: from these follows every random number of a loss."""


Network = TypeVar("Network", bound=nn.Module)
Batch = TypeVar("Batch")
StageData: TypeAlias = Callable[[int, Stage], tuple[Source, Sequence[CodeBatch]]]
"""(number of the stage, stage) -> the source of its batches, and its validation batches."""
Write: TypeAlias = Callable[[Path, Network, Stage], None]
"""(folder, network, stage): writes the model folder."""


class PairTrainer(ABC, Generic[Network, Stage, Batch]):
    """A network and the data of the stage it is in."""

    unit: str
    """Name of what `counted` counts last."""
    factor = 1.0
    """Of the learning rate."""

    def __init__(
        self,
        network: Network,
        objective: nn.Module,
        books: int,
        recipe: PairRecipe[Stage],
        machine: Machine,
        data: StageData[Stage],
        write: Write[Network, Stage],
    ) -> None:
        """`objective` computes the loss of `network`; `books`: the number of `weights` and hits."""
        self.network, self._wrapped, self._books = network, objective, books
        self._run, self._stages, self._free_batches = recipe.run, recipe.stages(), recipe.data.free_batches
        self._machine, self._data, self._write = machine, data, write
        self._source: Source | None = None

    def begin(self, stage: int, fresh: bool) -> None:
        """A new optimizer and the stage's data."""
        self._number, self._stage = stage, self._stages[stage]
        self.close()
        self._source, self._held_out = self._data(stage, self._stage)
        self._weights = line(self._stage.weights, self._books).to(self._machine.device)
        optimizers, pace = self.moved_by(self._stage)
        self._moves = SupervisedStep(self._wrapped, self._machine, optimizers, pace, clip=self._stage.clip)
        self._mark = time.monotonic()

    def step(self, number: int, share: float) -> Numbers:
        """Backward passes over `accumulate` batches, then one update of the weights."""
        machine, passes = self._machine, self._stage.accumulate
        with machine.together():
            began = time.monotonic()
            parts = [self._part(number * passes + part) for part in range(passes)]
            wait = time.monotonic() - began
        asked, answers, done = self._total([self.counted(part) for part in parts])

        def loss(part: Batch, place: int, objective: nn.Module) -> tuple[Tensor, Numbers]:
            key = (self._run.seed, self._number, number, place, machine.rank)
            torch.manual_seed(seed_of(*key))  # of dropout
            with machine.autocast(self._run.bf16):
                summed, hits = self.learnt(objective, part, key)
            # gradients, and numbers of the log, are averaged over the processes, not summed
            return summed * (machine.count / asked), self.accuracy("", hits.float() * machine.count, answers)

        calls = [partial(loss, part, place) for place, part in enumerate(parts)]
        numbers = self._moves(number, share, calls, self.factor)
        now = time.monotonic()
        speed = done / (now - self._mark)
        numbers |= {self.unit: done, f"{self.unit}_per_second": speed, "wait": wait}
        self._mark = now
        return numbers

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Of held-out pairs, with the correct past and without; empty where nothing is held out."""
        self._wrapped.eval()
        summed = torch.zeros(1 + self._books, device=self._machine.device)
        counts = []
        for pairs in self._held_out:
            batch = self.collated(pairs)
            counts.append(self.counted(batch))
            with self._machine.autocast(self._run.bf16):
                loss, hits = self.measured(batch)
            summed += torch.cat([loss[None].float(), hits.float()])
        total, *right = self._machine.sum(summed).tolist()
        asked, answers, _ = self._total(counts)
        if not asked:
            return {}
        accuracy = self.accuracy("valid_", torch.tensor(right), answers)
        found = {name: float(value) for name, value in accuracy.items()}
        return {"valid_loss": total / asked, **found, **self.freely()}

    def accuracy(self, name: str, hits: Tensor, answers: float) -> dict[str, Tensor]:
        """Shares of codes that are right, of all codebooks and of the first; `hits` [K]."""
        return {
            f"{name}accuracy": hits.sum() / answers,
            f"{name}accuracy_first": hits[0] * len(hits) / answers,
        }

    def state(self) -> dict[str, Any]:
        """Weights and optimizer; everything else follows from the recipe and the step."""
        return {"model": self.network.state_dict(), "step": self._moves.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.network.load_state_dict(state["model"])
        self._moves.restore(state["step"])

    def write(self, folder: Path) -> None:
        """The network as a model folder."""
        self._write(folder, self.network, self._stage)

    def close(self) -> None:
        """End threads and processes that mix in advance."""
        if self._source is not None:
            self._source.close()

    @abstractmethod
    def collated(self, pairs: CodeBatch) -> Batch:
        """`pairs` on the device."""

    @abstractmethod
    def counted(self, batch: Batch) -> tuple[float, float, float]:
        """What the loss is divided by; codes to predict; and a number of `unit`."""

    @abstractmethod
    def learnt(self, objective: nn.Module, batch: Batch, key: Key) -> Found:
        """The loss to learn by, weighted by codebook."""

    @abstractmethod
    def measured(self, batch: Batch) -> Found:
        """The loss of a validation, with equal weights and the correct past."""

    @abstractmethod
    def freely(self) -> dict[str, float]:
        """Numbers about the network's own output for the first held-out batches."""

    @abstractmethod
    def moved_by(self, options: Stage) -> tuple[list[torch.optim.Optimizer], Pace]:
        """Optimizers and learning rate of a stage."""

    def _part(self, number: int) -> Batch:
        """This process's batch of backward pass `number` of the stage."""
        assert self._source is not None
        return self.collated(self._source.batch(number * self._machine.count + self._machine.rank))

    def _total(self, counts: Sequence[tuple[float, float, float]]) -> list[float]:
        """Sums of `counted` over batches and processes."""
        return self._machine.total([float(sum(column)) for column in zip((0, 0, 0), *counts, strict=True)])


def line(ends: Sequence[float], count: int) -> Tensor:
    """`count` weights of mean 1: those given, a linear ramp between two, or all equal for none."""
    given = torch.tensor(list(ends) or [1.0], dtype=torch.float32)
    if len(given) == count:
        weights = given
    elif len(given) == 2:
        weights = given[0] + (given[1] - given[0]) * torch.arange(count) / max(1, count - 1)
    else:
        weights = given[:1].expand(count)
    return weights / weights.mean()
