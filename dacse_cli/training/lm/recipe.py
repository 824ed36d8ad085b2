"""The training settings of a language model, as in a recipe file. Numbers only; imports no torch.

The defaults are the published recipe (DAC-SE1, README and `train.py`): AdamW, 10,000 steps of 16 pairs per
process, 200 of warm-up, cosine, weight decay 0.01, gradients clipped at 1. Its learning rate from scratch is
not published (1e-5 is that of the fine-tuning command); 1e-4 is chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dacse_cli.training.lm.pairs.recipe import Corruption, PairRecipe, PairStage
from dacse_cli.training.mix.tasks import TASKS
from dacse_cli.training.runs.recipe import Origin


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
class Stage(PairStage):
    """A part of the run with its own data, length and learning rate."""

    name: str = "joint"
    steps: int = 10_000
    each: tuple[str, ...] = ()
    """Repeat this stage once for each of these tasks."""
    accumulate: int = 16
    warm_up: int = 200
    floor: float = 0.0
    """The cosine ends at this share of `rate`."""
    optimizer: str = "adamw"
    """`adamw`, or `muon`: Muon for the matrices inside the layers, AdamW for the rest."""
    loss: str = "vocabulary"
    """`vocabulary`: softmax over all ids, eos included, as published. `codebook`: softmax over the ids
    allowed at that position, which needs a K-th of the head's columns."""
    targets: str = "clean"
    """`clean`, or `residual`: after a wrong past, the code nearest to the remaining residual."""
    start_rate: float = 1.0
    """Share of `rate` for the embeddings and, after a copying start, for queries and keys."""
    past: Corruption = field(default_factory=Corruption)

    @property
    def fixed(self) -> bool:
        """Whether the model takes pairs of one length only; shorter ones are then left out."""
        return self.frames is not None and not self.vary

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        found = []
        if self.optimizer not in ("adamw", "muon") or self.loss not in ("vocabulary", "codebook"):
            found.append("optimizer is adamw or muon, loss vocabulary or codebook")
        if self.targets not in ("clean", "residual") or not 0 <= self.start_rate <= 1:
            found.append("targets are clean or residual, start_rate is 0 to 1")
        if not 0 <= self.floor <= 1:
            found.append("floor must be 0 to 1")
        unknown = sorted({*self.each} - TASKS.keys())
        if unknown or (self.tasks and self.each):
            found.append(f"tasks or each, of {', '.join(TASKS)}; not {', '.join(unknown) or 'both'}")
        return [*super().problems(), *(f"{self.name}: {problem}" for problem in found)]


@dataclass(frozen=True)
class LmRecipe(PairRecipe[Stage]):
    """A whole run."""

    model: ModelPart = field(default_factory=ModelPart)
    stage: tuple[Stage, ...] = (Stage(),)

    def stages(self) -> tuple[Stage, ...]:
        """The stages in order, `each` expanded, with lengths from `data` where a stage has none."""
        return tuple(
            each
            for stage in super().stages()
            for each in (
                [replace(stage, name=f"{stage.name} {task}", tasks=(task,), each=()) for task in stage.each]
                or [stage]
            )
        )

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        found = super().problems()
        if self.model.embeddings == "copy" and self.stage and not self.stages()[0].fixed:
            found.append("embeddings copy needs frames, and no vary, in the first stage")
        return found
