"""The settings of a training on pairs that are the same for all networks. Numbers only; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from dacse_cli.training.mix.tasks import TASKS
from dacse_cli.training.runs.recipe import RunPart, RunRecipe
from dacse_cli.training.runs.stages import StagePlan


@dataclass(frozen=True)
class DataPart:
    """How the recordings are used."""

    valid: float = 0.02
    """Share held out for validation, by speaker, if the data have no `valid` split."""
    valid_rows: int = 200
    """Most pairs per validation."""
    free_batches: int = 0
    """Held-out batches per process for free generation, code by code: slow, but closest to use."""
    frames: int | None = None
    """Cut pairs to this many codec frames, at a different place each time; None: whole pairs."""
    vary: float = 0.0
    """With `frames`: share of batches cut to another length, a quarter of it to five quarters."""
    recipe: str = "custom"
    """Where noise is mixed while training: see `dacse mix --recipe`."""
    seconds: float = 4.0
    """Where noise is mixed while training: as `dacse mix --seconds`."""

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        found = []
        if not 0 <= self.valid < 1:
            found.append(f"valid must be at least 0 and below 1, not {self.valid}")
        if self.valid_rows < 1 or self.free_batches < 0:
            found.append("valid_rows must be at least 1, free_batches 0")
        return found + _length_problems(self.frames, self.vary)


@dataclass(frozen=True)
class Corruption:
    """Which clean codes in a network's input past are replaced; the targets stay clean.

    Greedy generation reads its own errors, which never occur in teacher forcing.
    """

    noisy: float = 0.0
    """Share replaced by the noisy code of the same position."""
    random: float = 0.0
    """Share replaced by a random code."""
    own: float = 0.0
    """Share replaced by the model's own likeliest code, from a pass without gradient."""
    passes: int = 1
    """Passes for `own`: each reads the past that the previous one produced."""
    drawn: bool = True
    """Draw each row's shares between 0 and these values, so that clean pasts stay frequent."""

    @property
    def total(self) -> float:
        """Highest share of replaced codes."""
        return self.noisy + self.random + self.own

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        shares = (self.noisy, self.random, self.own)
        found = (
            [] if min(shares) >= 0 and self.total <= 1 else ["shares must be 0 to 1 and add up to at most 1"]
        )
        return found if self.passes >= 1 else [*found, "passes must be at least 1"]


@dataclass(frozen=True)
class PairStage(StagePlan):
    """A part of the run with its own data, length and learning rate."""

    tasks: tuple[str, ...] = ()
    """Use only pairs of these tasks; empty: all."""
    frames: int | None = None
    """Replaces the value in `data` for this stage; None: the same value."""
    vary: float | None = None
    """Replaces the value in `data` for this stage; None: the same value."""
    rows: int = 1
    """Pairs per process and backward pass."""
    accumulate: int = 1
    """Backward passes per step."""
    rate: float = 1e-4
    """Highest learning rate."""
    warm_up: int = 0
    """Steps of a linear rise to it."""
    betas: tuple[float, ...] = (0.9, 0.999)
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest gradient norm."""
    weights: tuple[float, ...] = ()
    """Weights of the codebooks' losses: one each, or the ends of a linear ramp. Empty: all equal."""

    @property
    def fixed(self) -> bool:
        """Whether the network takes pairs of one length only; shorter ones are then left out."""
        return False

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        found = _length_problems(self.frames, self.vary)
        if (self.steps < 1 and not self.minutes) or min(self.rows, self.accumulate) < 1 or self.warm_up < 0:
            found.append("steps (or minutes), rows and accumulate must be at least 1, warm_up 0")
        if len(self.betas) != 2 or self.rate <= 0 or self.clip <= 0:
            found.append("betas are two numbers, rate and clip above 0")
        unknown = sorted({*self.tasks} - TASKS.keys())
        if unknown:
            found.append(f"there are no tasks {', '.join(unknown)}; they are {', '.join(TASKS)}")
        return [f"{self.name}: {problem}" for problem in found]


@dataclass(frozen=True)
class PairRun(RunPart):
    """bfloat16 is for the products; weights and sums are float32."""

    seed: int = 42
    bf16: bool = True


Stage = TypeVar("Stage", bound=PairStage)


@dataclass(frozen=True)
class PairRecipe(RunRecipe, Generic[Stage]):
    """A whole run."""

    run: PairRun = field(default_factory=PairRun)
    data: DataPart = field(default_factory=DataPart)
    stage: tuple[Stage, ...] = ()

    def stages(self) -> tuple[Stage, ...]:
        """One after another, with lengths from `data` where a stage has none."""
        return tuple(
            replace(
                stage,
                frames=self.data.frames if stage.frames is None else stage.frames,
                vary=self.data.vary if stage.vary is None else stage.vary,
            )
            for stage in self.stage
        )

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        return [] if self.stage else ["there is no stage"]


def _length_problems(frames: int | None, vary: float | None) -> list[str]:
    good = (frames is None or frames >= 4) and 0 <= (vary or 0.0) <= 1
    return [] if good else [f"frames {frames} must be at least 4, vary {vary} within 0 to 1"]
