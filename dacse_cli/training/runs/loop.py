"""Steps, stages, validation, checkpoints and log: the loop common to all trainings.

The log holds means over the steps since the line before and over all processes. They are summed on the device
and read only when a line is written, so a step does not wait for its numbers; the sums are part of the
checkpoint, so that the curve of a killed run equals that of an uninterrupted one.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from dacse_cli.errors import DeviceError, UsageError
from dacse_cli.platform import handling_stop_signals
from dacse_cli.training.runs.folder import RunFolder
from dacse_cli.training.runs.logbook import Logbook
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.stages import Cadence, StagePlan

Numbers: TypeAlias = Mapping[str, "float | Tensor"]
"""Measured values by column of the log; tensors are scalars and stay on the device."""
FINITE = ("loss", "gradient")
"""Names of numbers that end a training when they are not finite."""


@dataclass(frozen=True)
class StepReport:
    """A line of the log: `step` of `steps` in `stage` (0 where it ends by the clock), `share` of it done."""

    stage: str
    step: int
    steps: int
    share: float
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Listener:
    """Callbacks for the display of a run."""

    step: Callable[[StepReport], None] = lambda report: None
    prepared: Callable[[str, int, int], None] = lambda what, done, total: None
    """What is done before the first step, such as "decoding", and how many recordings of how many."""
    remark: Callable[[str], None] = lambda text: None
    download: Callable[[str, int, int], None] = lambda file, done, total: None


@dataclass(frozen=True)
class TrainingResult:
    """The result of a run."""

    steps: int
    """Steps taken in this process."""
    model: Path
    """Best model of the last stage that has one."""
    best: float | None
    """Its validation loss; None without held-out data."""
    last: Mapping[str, float]
    """The last line of the log."""
    elapsed: float


class Trainer(Protocol):
    """The interface of a network in training, for the loop."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of all numbers that may be logged."""

    def begin(self, stage: int, fresh: bool) -> None:
        """Prepare a stage: new optimizers, and the stage's data.

        If not `fresh`, a checkpoint of this stage is restored next, so its contents need not be computed.
        """

    def step(self, number: int, share: float) -> Numbers:
        """Step `number` (from 0) of the stage, when `share` (0 to 1) of the stage has passed.

        With several processes each returns its own numbers; the log has their mean.
        """

    def validate(self) -> Mapping[str, float]:
        """Numbers with `valid_loss`, the same in all processes; empty where nothing is held out."""

    def state(self) -> dict[str, Any]:
        """All that `restore` needs, within the same stage."""

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""

    def write(self, folder: Path) -> None:
        """The network as a model folder."""

    def close(self) -> None:
        """End threads and processes that prepare data."""


@dataclass
class _Place:
    """The position of a run; part of its checkpoint."""

    stage: int = 0
    step: int = 0
    """Steps taken in the stage."""
    seconds: float = 0.0
    """Time spent in the stage, in all runs so far."""
    best: float | None = None
    """Least validation loss of the stage."""
    sums: dict[str, list[Any]] = field(default_factory=dict)
    """Number of steps and sum, by name, since the last line of the log."""

    def add(self, numbers: Numbers) -> None:
        """Add the numbers of a step."""
        for name, number in numbers.items():
            entry = self.sums.setdefault(name, [0, 0.0])
            entry[0] += 1
            entry[1] = entry[1] + (_wide(number.detach()) if isinstance(number, Tensor) else number)

    def settle(self, machine: Machine) -> None:
        """Convert all sums to plain numbers, averaged over all processes."""
        measured = [total for _, total in self.sums.values() if isinstance(total, Tensor)]
        read = iter(torch.stack(measured).cpu().tolist() if measured else ())
        values = [next(read) if isinstance(total, Tensor) else total for _, total in self.sums.values()]
        totals = machine.total(values)
        for entry, total in zip(self.sums.values(), totals, strict=True):
            entry[1] = total / machine.count

    def means(self) -> dict[str, float]:
        """Means per step since the last call; `settle` must be called first."""
        sums, self.sums = self.sums, {}
        return {name: total / count for name, (count, total) in sums.items()}


class Loop:
    """Runs a trainer through its stages, starting from the folder's checkpoint."""

    def __init__(
        self,
        trainer: Trainer,
        stages: Sequence[StagePlan],
        folder: RunFolder,
        machine: Machine,
        cadence: Cadence,
        listener: Listener | None = None,
    ) -> None:
        self._trainer, self._stages, self._folder, self._machine = trainer, stages, folder, machine
        self._cadence, self._listener = cadence, listener or Listener()
        self._place, self._last, self._taken = _Place(), dict[str, float](), 0
        self._before = 0  # steps of the stages before this one
        self._signal: int | None = None  # that asked to stop

    def run(self, last: int) -> TrainingResult:
        """Run all remaining steps up to the end of stage `last`. Raises `OutputError`.

        At a stop signal, finishes the step, writes a checkpoint and raises the signal again. A second signal
        stops at once, and so does the first where several processes train together.
        """
        began = time.monotonic()
        alone = self._machine.count == 1 and threading.current_thread() is threading.main_thread()
        try:
            with handling_stop_signals(self._asked) if alone else contextlib.nullcontext():
                complete = self._run_stages(last)
        finally:
            self._trainer.close()
        if self._signal is not None and not complete:
            signal.raise_signal(self._signal)
        model = self._folder.path / self._stages[self._place.stage].folder
        return TrainingResult(self._taken, model, self._place.best, self._last, time.monotonic() - began)

    def _asked(self, number: int) -> None:
        if self._signal is not None:
            raise SystemExit(128 + number)
        self._signal = number
        text = "stopping after this step; a second signal stops at once, without a checkpoint"
        threading.Thread(target=self._listener.remark, args=(text,)).start()  # a handler must not print

    def _run_stages(self, last: int) -> bool:
        self._continue()
        columns = (*self._trainer.columns, "seconds")
        at = self._before + self._place.step
        self._log = Logbook(self._folder.path, columns, at) if self._machine.first else None
        while True:
            complete = self._run_stage(self._stages[self._place.stage])
            if self._place.stage >= last or not complete:
                return complete
            self._before += self._place.step
            self._place = _Place(stage=self._place.stage + 1)
            self._trainer.begin(self._place.stage, True)

    def _continue(self) -> None:
        state = self._folder.state()
        if state is None:
            self._trainer.begin(0, True)
            return
        self._place, self._before = _Place(**state["place"]), state["before"]
        self._trainer.begin(self._place.stage, False)
        self._trainer.restore(state["trainer"])

    def _run_stage(self, stage: StagePlan) -> bool:
        place, cadence = self._place, self._cadence
        mark = time.monotonic()
        share = self._share(stage)
        while share < 1.0 and self._signal is None:
            place.add(self._stepped(share))
            place.step += 1
            self._taken += 1
            now = time.monotonic()
            place.add({"seconds": now - mark})
            place.seconds, mark = place.seconds + now - mark, now
            share = self._share(stage)
            ends = share >= 1.0
            logs, measures, saves = (
                ends or _due(place.step, every)
                for every in (cadence.log_every, cadence.validate_every, cadence.save_every)
            )
            saves = saves or self._signal is not None
            if logs or measures or saves:
                self._settle()
            numbers = place.means() if logs else {}
            if measures:
                numbers |= self._validate(stage, ends)
            if numbers:
                self._report(stage, share, numbers)
            if saves:
                self._save()
        return share >= 1.0

    def _share(self, stage: StagePlan) -> float:
        """How much of the stage has passed, 0 to 1; the same in all processes."""
        if stage.minutes:
            return min(1.0, self._machine.agree(self._place.seconds) / 60.0 / stage.minutes)
        return self._place.step / stage.steps

    def _stepped(self, share: float) -> Numbers:
        """One step. Raises `DeviceError` where memory runs out."""
        try:
            return self._trainer.step(self._place.step, share)
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"the device is out of memory at step {self._place.step + 1}",
                hint="Fewer rows or frames, or model.checkpointing=true.",
            ) from error

    def _settle(self) -> None:
        """Read the sums. Raises `UsageError` in all processes if a sum is not finite in any of them."""
        self._place.settle(self._machine)
        wrong = [name for name in FINITE if not math.isfinite(self._place.sums.get(name, (0, 0.0))[1])]
        if wrong:
            stage = self._stages[self._place.stage].folder
            raise UsageError(
                f"the {wrong[0]} is not a number any more by step {self._place.step} of the stage: "
                "the training has diverged",
                hint=f"Lower stage.rate and start a new folder with `start={self._folder.path / stage}`.",
            )

    def _validate(self, stage: StagePlan, ends: bool) -> dict[str, float]:
        """Validate, and write the model if it is the best of its stage (or always, without validation)."""
        numbers = dict(self._trainer.validate())
        loss = numbers.get("valid_loss")
        better = loss is not None and (self._place.best is None or loss < self._place.best)
        if better:
            self._place.best = loss
        with self._machine.together():
            if self._machine.first and (better or (loss is None and ends)):
                self._folder.replace(stage.folder, self._trainer.write)
        return numbers

    def _report(self, stage: StagePlan, share: float, numbers: dict[str, float]) -> None:
        self._last, place = numbers, self._place
        with self._machine.together():
            if self._log is not None:
                self._log.add(self._before + place.step, stage.name, numbers)
        if self._machine.first:
            steps = 0 if stage.minutes else stage.steps
            self._listener.step(StepReport(stage.name, place.step, steps, share, numbers))

    def _save(self) -> None:
        with self._machine.together():
            if self._machine.first:
                place = asdict(self._place)
                self._folder.save({"place": place, "before": self._before, "trainer": self._trainer.state()})


def _wide(number: Tensor) -> Tensor:
    """`number` in float64 where the device supports it, so that sums of many steps stay precise."""
    return number if number.device.type == "mps" else number.double()


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
