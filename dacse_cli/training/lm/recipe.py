"""The training settings of a language model, as in a recipe file. Numbers only; imports no torch.

The defaults are the published recipe (DAC-SE1, README and `train.py`): AdamW, 10,000 steps of 16 pairs per
process, 200 of warm-up, cosine, weight decay 0.01, gradients clipped at 1. Its learning rate from scratch is
not published (1e-5 is that of the fine-tuning command); 1e-4 is chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dacse_cli.training.mix.tasks import TASKS
from dacse_cli.training.runs.recipe import Origin, RunPart, RunRecipe
from dacse_cli.training.runs.stages import StagePlan


@dataclass(frozen=True)
class ModelPart(Origin):
    """Where the network comes from (a size is 250M, 1B, 2B or 4B), and how it begins and is stored."""

    embeddings: str = "random"
    """Initialisation of a fresh network: `random`; `codebooks`, from the codec's codebook vectors; or `copy`,
    the same with attention that copies the noisy codes (`copy_start`; needs `frames` and no `vary`)."""
    store: str = "bfloat16"
    """Number format of the models written: bfloat16 or float32."""
    checkpointing: bool = True
    """Activation checkpointing: recompute activations instead of storing them."""

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        found = super().problems()
        if self.embeddings not in ("random", "codebooks", "copy"):
            found.append(f"embeddings {self.embeddings!r} is not random, codebooks or copy")
        if self.store not in ("bfloat16", "float32"):
            found.append(f"store {self.store!r} is not bfloat16 or float32")
        return found


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
    """Which clean codes in the model's input past are replaced; the targets stay clean.

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
class Stage(StagePlan):
    """A part of the run with its own data, length and learning rate."""

    name: str = "joint"
    steps: int = 10_000
    tasks: tuple[str, ...] = ()
    """Use only pairs of these tasks; empty: all."""
    each: tuple[str, ...] = ()
    """Repeat this stage once for each of these tasks."""
    frames: int | None = None
    """Replaces the value in `data` for this stage; None: the same value."""
    vary: float | None = None
    """Replaces the value in `data` for this stage; None: the same value."""
    rows: int = 1
    """Pairs per process and backward pass."""
    accumulate: int = 16
    """Backward passes per step."""
    rate: float = 1e-4
    """Highest learning rate."""
    warm_up: int = 200
    floor: float = 0.0
    """The cosine ends at this share of `rate`."""
    optimizer: str = "adamw"
    """`adamw`, or `muon`: Muon for the matrices inside the layers, AdamW for the rest."""
    betas: tuple[float, ...] = (0.9, 0.999)
    weight_decay: float = 0.01
    clip: float = 1.0
    loss: str = "vocabulary"
    """`vocabulary`: softmax over all ids, eos included, as published. `codebook`: softmax over the ids
    allowed at that position, which needs a K-th of the head's columns."""
    targets: str = "clean"
    """`clean`, or `residual`: after a wrong past, the code nearest to the remaining residual."""
    start_rate: float = 1.0
    """Share of `rate` for the embeddings and, after a copying start, for queries and keys."""
    weights: tuple[float, ...] = ()
    """Weights of the codebooks' losses: one each, or the ends of a linear ramp. Empty: all equal."""
    past: Corruption = field(default_factory=Corruption)

    @property
    def fixed(self) -> bool:
        """Whether the model takes pairs of one length only; shorter ones are then left out."""
        return self.frames is not None and not self.vary

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        found = [f"{self.name}: {problem}" for problem in _length_problems(self.frames, self.vary)]
        if min(self.steps, self.rows, self.accumulate) < 1 or self.warm_up < 0:
            found.append(f"{self.name}: steps, rows and accumulate must be at least 1, warm_up 0")
        if self.optimizer not in ("adamw", "muon") or self.loss not in ("vocabulary", "codebook"):
            found.append(f"{self.name}: optimizer is adamw or muon, loss vocabulary or codebook")
        if self.targets not in ("clean", "residual") or not 0 <= self.start_rate <= 1:
            found.append(f"{self.name}: targets are clean or residual, start_rate is 0 to 1")
        if len(self.betas) != 2 or not 0 <= self.floor <= 1 or self.rate <= 0 or self.clip <= 0:
            found.append(f"{self.name}: betas are two numbers, floor 0 to 1, rate and clip above 0")
        unknown = sorted({*self.tasks, *self.each} - TASKS.keys())
        if unknown or (self.tasks and self.each):
            found.append(
                f"{self.name}: tasks or each, of {', '.join(TASKS)}; not {', '.join(unknown) or 'both'}"
            )
        return found


@dataclass(frozen=True)
class LmRun(RunPart):
    """bfloat16 is for the products; weights and sums are float32."""

    seed: int = 42
    bf16: bool = True


@dataclass(frozen=True)
class LmRecipe(RunRecipe):
    """A whole run."""

    model: ModelPart = field(default_factory=ModelPart)
    run: LmRun = field(default_factory=LmRun)
    data: DataPart = field(default_factory=DataPart)
    stage: tuple[Stage, ...] = (Stage(),)

    def stages(self) -> tuple[Stage, ...]:
        """The stages in order, `each` expanded, with lengths from `data` where a stage has none."""
        listed = []
        for stage in self.stage:
            frames = self.data.frames if stage.frames is None else stage.frames
            stage = replace(stage, frames=frames, vary=self.data.vary if stage.vary is None else stage.vary)
            listed += [
                replace(stage, name=f"{stage.name} {task}", tasks=(task,), each=()) for task in stage.each
            ] or [stage]
        return tuple(listed)

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        found = [] if self.stage else ["there is no stage"]
        if self.model.embeddings == "copy" and self.stage and not self.stages()[0].fixed:
            found.append("embeddings copy needs frames, and no vary, in the first stage")
        return found


def _length_problems(frames: int | None, vary: float | None) -> list[str]:
    good = (frames is None or frames >= 4) and 0 <= (vary or 0.0) <= 1
    return [] if good else [f"frames {frames} must be at least 4, vary {vary} within 0 to 1"]
