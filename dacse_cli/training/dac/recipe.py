"""How a codec is trained, as a recipe file says it. Numbers only; imports no torch.

The defaults are the released recipe: crops of 0.38 s at -16 dB, weights 15, 2, 1, 1 and 0.25 of mel, feature,
adversarial, codebook and commitment losses, AdamW at 1e-4 decaying by 0.999996 a step, quantizer dropout 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dacse_cli.training.runs.recipe import Origin, RunPart, RunRecipe
from dacse_cli.training.runs.stages import Cadence, StagePlan

BANDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Edges of the discriminators' spectral bands, as shares of the bins."""


@dataclass(frozen=True)
class CodecPart(Origin):
    """Where the codec comes from (a size is 16khz, 24khz or 44khz), and how it begins."""

    warm_start: bool = False
    """A fresh network begins as a linear transform coder with k-means codebooks (even strides only)."""
    weight_norm: bool = True
    """Of all convolutions while training; folded in what is written."""

    def problems(self) -> list[str]:
        """What cannot be."""
        found = super().problems()
        return [*found, "warm_start is for fresh networks"] if self.warm_start and self.start else found


@dataclass(frozen=True)
class CropPart:
    """What is made of the recordings."""

    seconds: float = 0.38
    level_db: float = -16.0
    """Root mean square of a crop, dB of full scale, where its peaks allow it."""
    valid: float = 0.02
    """Share of recordings (by speaker) held out."""
    valid_rows: int = 32
    """Crops that a validation looks at."""
    valid_seconds: float = 1.0

    def problems(self) -> list[str]:
        """What cannot be."""
        if not (0 < self.seconds <= 60 and 0 < self.valid_seconds <= 60 and 0 <= self.valid < 1):
            return ["seconds must lie within 0 to 60, valid within 0 to 1"]
        return []


@dataclass(frozen=True)
class Discriminating:
    """The networks that are fooled."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    windows: tuple[int, ...] = (2048, 1024, 512)
    """Of the spectra, samples."""
    width: int = 32
    """Channels of the first layers."""

    def problems(self) -> list[str]:
        """What cannot be."""
        good = all(p >= 1 for p in self.periods) and all(w >= 32 and w % 4 == 0 for w in self.windows)
        some = self.width >= 1 and bool(self.periods or self.windows)
        return [] if good and some else ["periods from 1, windows from 32 by fours, width from 1; not none"]


@dataclass(frozen=True)
class Weights:
    """Of the losses that the codec minimises."""

    mel: float = 15.0
    features: float = 2.0
    adversarial: float = 1.0
    codebook: float = 1.0
    commitment: float = 0.25


@dataclass(frozen=True)
class CodecStage(StagePlan):
    """A part of the run with its own length and pace."""

    name: str = "dac"
    steps: int = 400_000
    rows: int = 72
    """Crops a process and step."""
    rate: float = 1e-4
    decay: float = 0.999996
    """What the learning rate is multiplied by at each step."""
    warm_up: int = 0
    betas: tuple[float, ...] = (0.8, 0.99)
    clip: float = 1000.0
    """Of the codec's gradient; the discriminators' has a hundredth."""
    dropout: float = 0.5
    """Share of rows that use fewer codebooks."""
    adversarial: bool = True
    """Train discriminators and against them."""
    revive_every: int = 200
    """Steps after which codes that were not used once are moved; 0: never."""

    def problems(self) -> list[str]:
        """What cannot be."""
        found = []
        if min(self.steps, self.rows) < 1 or min(self.warm_up, self.revive_every) < 0:
            found.append(f"{self.name}: steps and rows must be at least 1, warm_up and revive_every 0")
        if self.rate <= 0 or not 0 < self.decay <= 1 or self.clip <= 0 or not 0 <= self.dropout <= 1:
            found.append(f"{self.name}: rate and clip above 0, decay and dropout within 0 to 1")
        return found if len(self.betas) == 2 else [*found, f"{self.name}: betas are two numbers"]


@dataclass(frozen=True)
class CodecRun(RunPart):
    """bfloat16 is for encoder, decoder and discriminators; the quantizer never is."""

    cadence: Cadence = field(default_factory=lambda: Cadence(10, 1000, 1000))


@dataclass(frozen=True)
class CodecRecipe(RunRecipe):
    """A whole run."""

    model: CodecPart = field(default_factory=CodecPart)
    run: CodecRun = field(default_factory=CodecRun)
    data: CropPart = field(default_factory=CropPart)
    discriminators: Discriminating = field(default_factory=Discriminating)
    weights: Weights = field(default_factory=Weights)
    stage: tuple[CodecStage, ...] = (CodecStage(),)

    def stages(self) -> tuple[CodecStage, ...]:
        """As they are written."""
        return self.stage

    def problems(self) -> list[str]:
        """What cannot be."""
        return [] if self.stage else ["there is no stage"]
