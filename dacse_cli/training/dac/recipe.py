"""How a codec is trained, as a recipe file says it. Numbers only; imports no torch.

The defaults are the released recipe: crops of 0.38 s at -16 dB, weights 15, 2, 1, 1 and 0.25 of mel, feature,
adversarial, codebook and commitment losses, AdamW at 1e-4 decaying by 0.999996 a step, quantizer dropout 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dacse_cli.errors import UsageError
from dacse_cli.training.runs.settings import read_recipe
from dacse_cli.training.runs.stages import Cadence, StagePlan

BANDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Edges of the discriminators' spectral bands, as shares of the bins."""


@dataclass(frozen=True)
class CodecPart:
    """Where the network comes from: one of the first three."""

    size: str | None = None
    """16khz, 24khz or 44khz, as released."""
    config: str | None = None
    """A `config.json` of a `DacModel`."""
    start: str | None = None
    """A Hub id, `id@revision` or a folder: training goes on from its weights."""
    warm_start: bool = False
    """A fresh network begins as a linear transform coder with k-means codebooks (even strides only)."""
    weight_norm: bool = True
    """Of all convolutions while training; folded in what is written."""

    def problems(self) -> list[str]:
        """What cannot be."""
        named = [name for name in ("size", "config", "start") if getattr(self, name) is not None]
        found = [f"{' and '.join(named)} exclude each other"] if len(named) > 1 else []
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
class CodecStage:
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
class CodecRun:
    """Everything else."""

    seed: int = 0
    bf16: bool = False
    """Encoder, decoder and discriminators in bfloat16; the quantizer never is."""
    cadence: Cadence = field(default_factory=lambda: Cadence(10, 1000, 1000))

    def problems(self) -> list[str]:
        """What cannot be."""
        return [] if self.seed >= 0 else ["seed must be at least 0"]


@dataclass(frozen=True)
class CodecRecipe:
    """A whole run."""

    model: CodecPart = field(default_factory=CodecPart)
    data: CropPart = field(default_factory=CropPart)
    discriminators: Discriminating = field(default_factory=Discriminating)
    weights: Weights = field(default_factory=Weights)
    run: CodecRun = field(default_factory=CodecRun)
    stage: tuple[CodecStage, ...] = (CodecStage(),)

    def plans(self) -> tuple[StagePlan, ...]:
        """Names and lengths."""
        return tuple(StagePlan(stage.name, stage.steps) for stage in self.stage)

    def problems(self) -> list[str]:
        """What cannot be."""
        return [] if self.stage else ["there is no stage"]


def read_codec_recipe(
    path: Path | None,
    overrides: Sequence[str] = (),
    *,
    size: str | None = None,
    config: str | None = None,
    start: str | None = None,
) -> CodecRecipe:
    """The recipe in `path` with what the command line says in its place. Raises `UsageError`.

    As for language models: one of the three replaces what the recipe names, and a config lies beside it.
    """
    recipe = read_recipe(CodecRecipe, path, overrides)
    model = recipe.model
    if path is not None and model.config is not None:
        model = replace(model, config=str(path.parent / model.config))
    if size or config or start:
        model = replace(model, size=size, config=config, start=start)
    problems = model.problems()
    if problems:
        raise UsageError("; ".join(problems))
    return replace(recipe, model=model)
