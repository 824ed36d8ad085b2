"""Steps, stages, checkpoints: the loop that is the same whatever is trained.

Numbers that are logged are means since the line before; what has been summed up is part of the checkpoint, so
that the curve of a run that was killed is that of one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from dacse_cli.errors import DeviceError, UsageError
from dacse_cli.training.runs.folder import RunFolder
from dacse_cli.training.runs.logbook import Logbook
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.stages import Cadence, StagePlan

Numbers = dict[str, float]


@dataclass(frozen=True)
class Moment:
    """For who watches: `step` of `steps` in `stage`; `numbers` are those just logged."""

    stage: str
    step: int
    steps: int
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Listener:
    """Who is told how it goes."""

    moment: Callable[[Moment], None] = lambda moment: None
    stage: Callable[[str], None] = lambda text: None
    remark: Callable[[str], None] = lambda text: None
    download: Callable[[str, int, int], None] = lambda file, done, total: None


@dataclass(frozen=True)
class Outcome:
    """Where a run has got to."""

    steps: int
    """Taken in this process."""
    model: Path
    """Best model of the last stage that has one."""
    best: float | None
    """Its validation loss, None where nothing was held out."""
    last: Mapping[str, float]
    """The last line of the log."""
    elapsed: float


class Trainer(Protocol):
    """What the loop needs of a network in training."""

    @property
    def columns(self) -> Sequence[str]:
        """What may be logged."""

    def begin(self, stage: int) -> None:
        """Get ready for a stage: a new optimizer, another share of the data."""

    def step(self, number: int) -> Numbers:
        """Step `number` (from 0) of the stage."""

    def validate(self) -> Numbers:
        """Numbers with `valid_loss`; nothing where nothing is held out."""

    def state(self) -> dict[str, Any]:
        """All that `restore` needs, in the stage it was taken in."""

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""

    def write(self, folder: Path) -> None:
        """The network as a model folder."""


@dataclass
class _Place:
    """Where a run is; part of its checkpoint."""

    stage: int = 0
    step: int = 0
    """Steps taken in the stage."""
    best: float | None = None
    """Least validation loss of the stage."""
    sums: dict[str, list[float]] = field(default_factory=dict)
    """Number and sum of what was measured since the last line of the log."""

    def add(self, numbers: Numbers) -> None:
        """What a step has measured."""
        for name, number in numbers.items():
            count, total = self.sums.get(name, [0, 0.0])
            self.sums[name] = [count + 1, total + number]

    def means(self) -> Numbers:
        """Of everything since they were last asked for."""
        sums, self.sums = self.sums, {}
        return {name: total / count for name, (count, total) in sums.items()}


class Loop:
    """Takes a trainer through its stages, from where the folder's checkpoint is."""

    def __init__(
        self,
        trainer: Trainer,
        stages: Sequence[StagePlan],
        folder: RunFolder,
        machine: Machine,
        cadence: Cadence,
        watch: Callable[[Moment], None] | None = None,
    ) -> None:
        self._trainer, self._stages, self._folder, self._machine = trainer, stages, folder, machine
        self._cadence, self._watch = cadence, watch
        self._place, self._last, self._taken = _Place(), Numbers(), 0

    def run(self, last: int) -> Outcome:
        """All steps up to the end of stage `last` that have not been taken. Raises `OutputError`."""
        began = time.monotonic()
        self._take_up()
        columns = self._trainer.columns
        self._log = Logbook(self._folder.path, columns, self._total()) if self._machine.first else None
        while True:
            self._run_stage(self._stages[self._place.stage])
            if self._place.stage >= last:
                break
            self._place = _Place(stage=self._place.stage + 1)
            self._trainer.begin(self._place.stage)
        model = self._folder.path / self._stages[self._place.stage].folder
        return Outcome(self._taken, model, self._place.best, self._last, time.monotonic() - began)

    def _take_up(self) -> None:
        state = self._folder.state()
        if state is not None:
            self._place = _Place(**state["place"])
        self._trainer.begin(self._place.stage)
        if state is not None:
            self._trainer.restore(state["trainer"])

    def _total(self) -> int:
        """Steps since the run began, over all stages."""
        return sum(stage.steps for stage in self._stages[: self._place.stage]) + self._place.step

    def _run_stage(self, stage: StagePlan) -> None:
        place, cadence = self._place, self._cadence
        while place.step < stage.steps:
            place.add(self._stepped(place.step))
            place.step += 1
            self._taken += 1
            ends = place.step == stage.steps
            numbers = place.means() if ends or _due(place.step, cadence.log_every) else {}
            if ends or _due(place.step, cadence.validate_every):
                numbers |= self._validate(stage, ends)
            if numbers:
                self._tell(stage, numbers)
            if ends or _due(place.step, cadence.save_every):
                self._save()

    def _stepped(self, number: int) -> Numbers:
        """One step. Raises `DeviceError` where memory runs out, `UsageError` where the loss is no number."""
        try:
            numbers = self._trainer.step(number)
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"the device is out of memory at step {number + 1}",
                hint="Fewer rows or frames, or model.checkpointing=true.",
            ) from error
        if not math.isfinite(numbers["loss"]):
            raise UsageError(
                f"the loss is {numbers['loss']} at step {number + 1} of the stage: the training has diverged",
                hint="Lower stage.rate, and go on from the last checkpoint in another folder (--from).",
            )
        return numbers

    def _validate(self, stage: StagePlan, ends: bool) -> Numbers:
        """Measure, and write the model if it is the best of its stage (or the last, if none is measured)."""
        numbers = self._trainer.validate()
        loss = numbers.get("valid_loss")
        better = loss is not None and (self._place.best is None or loss < self._place.best)
        if better:
            self._place.best = loss
        if self._machine.first and (better or (loss is None and ends)):
            self._folder.replace(stage.folder, self._trainer.write)
        self._machine.wait()
        return numbers

    def _tell(self, stage: StagePlan, numbers: Numbers) -> None:
        self._last = numbers
        if self._log is not None:
            self._log.add(self._total(), stage.name, numbers)
        if self._watch is not None and self._machine.first:
            self._watch(Moment(stage.name, self._place.step, stage.steps, numbers))

    def _save(self) -> None:
        if self._machine.first:
            self._folder.save({"place": asdict(self._place), "trainer": self._trainer.state()})
        self._machine.wait()


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
