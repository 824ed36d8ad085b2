"""The training settings of a SET network, as in a recipe file. Numbers only; imports no torch.

The defaults are those of the published recipes: AdamW (0.9, 0.98), rate 5e-4, weight decay 0.01, gradients
clipped at 5, 16 pairs per step, NewBob on the validation's token error. The paper's last epochs are a stage
with `past = "beam"` (or `greedy`): the predictor reads codes that the network itself generates.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dacse_cli.config import EXPANSIONS, MAX_BEAM
from dacse_cli.training.lm.pairs.recipe import Corruption, PairRecipe, PairStage
from dacse_cli.training.runs.recipe import Origin

PASTS = ("clean", "greedy", "beam")
LOSSES = ("mse", "l1+mse")


@dataclass(frozen=True)
class ModelPart(Origin):
    """Where the network comes from (a size is one of `sizes`), and what it reads and writes."""

    units: str = "codes"
    """`codes`, or `latents`: the codec's continuous vectors before quantisation."""
    codebooks: int | None = None
    """Use only this many of the codec's first codebooks; None: all."""
    embeddings: str = "random"
    """Initialisation of a fresh network over codes, and of a factored head: `random`; `codebooks`, from the
    codec's codebook vectors; or `copy`, the same with a head that initially copies the noisy codes."""

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        found = super().problems()
        if self.units not in ("codes", "latents"):
            found.append(f"units {self.units!r} is not codes or latents")
        if self.embeddings not in ("random", "codebooks", "copy"):
            found.append(f"embeddings {self.embeddings!r} is not random, codebooks or copy")
        if self.codebooks is not None and self.codebooks < 1:
            found.append("codebooks must be at least 1")
        return found


@dataclass(frozen=True)
class Annealing:
    """NewBob: the rate falls when the validation's token error (for latents, its loss) stops falling."""

    improvement: float = 0.0025
    """Relative improvement below which a validation does not count as better."""
    shrink: float = 0.9
    """Factor on the rate at each reduction; 1: it does not fall."""
    patience: int = 1
    """Validations without improvement before the rate falls."""

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        good = self.improvement >= 0 and 0 < self.shrink <= 1 and self.patience >= 0
        return [] if good else ["improvement and patience must be at least 0, shrink above 0 and at most 1"]


@dataclass(frozen=True)
class Stage(PairStage):
    """A part of the run with its own data, length, learning rate and past."""

    name: str = "teacher"
    steps: int = 50_000
    rows: int = 16
    rate: float = 5e-4
    cosine: float | None = None
    """End of a cosine over the stage, as a share of `rate`; None: no cosine."""
    annealing: Annealing = field(default_factory=Annealing)
    betas: tuple[float, ...] = (0.9, 0.98)
    clip: float = 5.0
    smoothing: float = 0.0
    """Label smoothing: share of the target spread evenly over all codes."""
    loss: str = "mse"
    """Loss for latents: `mse` or `l1+mse`."""
    past: str = "clean"
    """The predictor's input: `clean` codes, or those found by a `greedy` or `beam` search of the network
    itself, without gradient. Targets are always clean."""
    beam: int = 4
    """Beam width for `past = "beam"`."""
    expansion: str = "best"
    """Expansion for `past = "beam"`: `best` or `ranked`."""
    replaced: Corruption = field(default_factory=Corruption)
    """With `past = "clean"`: shares of codes that are replaced."""

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        found = []
        if not 0 <= self.smoothing < 1 or not 0 <= (self.cosine or 0.0) <= 1:
            found.append("smoothing must be 0 to 1, cosine too")
        if self.past not in PASTS or self.expansion not in EXPANSIONS or not 1 <= self.beam <= MAX_BEAM:
            found.append(
                f"past is {', '.join(PASTS)}, expansion {', '.join(EXPANSIONS)}, beam 1 to {MAX_BEAM}"
            )
        if self.past != "clean" and self.replaced.total:
            found.append("codes are replaced in clean pasts only")
        if self.loss not in LOSSES:
            found.append(f"loss {self.loss!r} is not {' or '.join(LOSSES)}")
        return [*super().problems(), *(f"{self.name}: {problem}" for problem in found)]


@dataclass(frozen=True)
class SetRecipe(PairRecipe[Stage]):
    """A whole run."""

    model: ModelPart = field(default_factory=ModelPart)
    stage: tuple[Stage, ...] = (Stage(),)
