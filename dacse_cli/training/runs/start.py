"""From a request to the training loop, for every kind of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from dacse_cli.codec.memory import tune_allocator
from dacse_cli.training.runs.folder import RunFolder
from dacse_cli.training.runs.loop import Listener, Loop, Trainer, TrainingResult
from dacse_cli.training.runs.machine import Machine, find_machine
from dacse_cli.training.runs.recipe import RunRecipe
from dacse_cli.training.runs.stages import last_stage


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """The common request of all trainings."""

    out: Path
    recipe: RunRecipe
    until: str | None = None
    """The last stage to run now."""
    device: str = "auto"
    offline: bool = False


@dataclass(frozen=True)
class Prepared:
    """What `carry_out` needs to begin or continue a training."""

    settings: dict[str, Any]
    """Settings of this training that must be the same when the run is continued."""
    trainer: Callable[[bool], Trainer]
    """(whether the run begins now) -> its trainer; if not, a checkpoint is restored, and its contents need
    not be computed."""


def carry_out(
    request: RunRequest, prepare: Callable[[Machine, Listener], Prepared], listener: Listener | None
) -> TrainingResult:
    """Train, continuing from the state of `request.out`. Raises any `DacseError`."""
    listener, recipe = listener or Listener(), request.recipe
    stages = recipe.stages()
    last = last_stage(stages, request.until)
    machine = find_machine(request.device)
    tune_allocator()
    with machine.joined(), _flushed_denormals(), RunFolder(request.out, writes=machine.first) as folder:
        with machine.together():
            folder.open()
        ready = prepare(machine, listener)
        shared = {
            "run": {"seed": recipe.run.seed, "bf16": recipe.run.bf16},
            "processes": machine.count,
        }
        with machine.together():
            folder.claim(shared | ready.settings, [asdict(stage) for stage in stages])
        trainer = ready.trainer(folder.peek("place") is None)
        return Loop(trainer, stages, folder, machine, recipe.run.cadence, listener).run(last)


@contextmanager
def _flushed_denormals() -> Iterator[None]:
    """Context manager: flush denormal numbers to zero, because a CPU is many times slower with them."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
