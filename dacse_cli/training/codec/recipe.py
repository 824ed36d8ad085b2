"""The training settings of a codec, as in a recipe file. Numbers only; imports no torch.

The defaults are the released recipe: crops of 0.38 s at -16 dB, weights 15, 2, 1, 1 and 0.25 of mel, feature,
adversarial, codebook and commitment losses, AdamW at 1e-4 decaying by 0.999996 per step, quantizer dropout
0.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dacse_cli.training.runs.recipe import Origin, RunPart, RunRecipe
from dacse_cli.training.runs.stages import Cadence, StagePlan

BANDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Edges of the discriminators' spectral bands, as shares of the bins."""


@dataclass(frozen=True)
class CodecPart(Origin):
    """Where the codec comes from (a size is 16khz, 24khz or 44khz), how it begins and what it is made of."""

    warm_start: bool = False
    """A fresh network begins as a linear transform coder with k-means codebooks (even strides only)."""
    weight_norm: bool = True
    """Weight norm on all convolutions during training; folded in the written model."""
    thin: bool = False
    """Train without the residual units at the full rate, the most expensive; they are written as zeros."""
    codebooks: str = "gradient"
    """How codebooks learn: by `gradient`, as released, or by moving `average`, with a Euclidean look-up."""
    store: str = "float32"
    """Number format of the convolutions in the models written: float32 or float16."""

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        found = super().problems()
        if self.warm_start and self.start:
            found.append("warm_start is for fresh networks")
        if self.codebooks not in ("gradient", "average") or self.store not in ("float32", "float16"):
            found.append("codebooks are gradient or average, store is float32 or float16")
        if self.thin and self.weight_norm:
            found.append("thin needs weight_norm = false")
        if self.codebooks == "average" and not (self.warm_start or self.start):
            found.append("codebooks average need warm_start, or a start that has such codebooks")
        if self.warm_start and self.weight_norm and self.codebooks == "average":
            found.append("codebooks average with warm_start need weight_norm = false")
        return found


@dataclass(frozen=True)
class UnitsPart:
    """A codec whose codes are units: clusters of a speech encoder's features. Only its decoder learns."""

    encoder: str | None = None
    """Folder or Hub id of a HuBERT or WavLM, or folder of a Whisper in CTranslate2 form; None: no units."""
    layer: int = 3
    """Layer whose output is clustered; 1 is the first."""
    size: int = 500
    """Number of units."""
    frames: int = 100
    """Frames of speech for each unit, from which k-means finds it."""
    rounds: int = 20
    """Rounds of k-means."""

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        good = min(self.layer, self.frames, self.rounds) >= 1 and 2 <= self.size <= 32768
        return [] if good else ["layer, frames and rounds must be at least 1, size 2 to 32768"]


@dataclass(frozen=True)
class DataPart:
    """How the recordings are used."""

    seconds: float = 0.38
    level_db: float = -16.0
    """Root mean square of a crop, dB of full scale, where its peaks allow it."""
    spread_db: float = 0.0
    """Standard deviation of that level."""
    shares: dict[str, float] = field(default_factory=dict)
    """Share of crops by the first folder of a recording's name; empty: by length."""
    speeds: tuple[float, ...] = (1.0,)
    """Recordings are also played at these speeds (with `decoded`)."""
    decoded: bool = False
    """Keep all recordings decoded in OUT/sound, two bytes per sample: much faster to draw from."""
    recipe: str = "nano"
    """How noise is mixed where `stage.noisy` asks for it: see `dacse mix --recipe`."""
    recogniser: str | None = None
    """For `stage.hearing`: the CTranslate2 folder of a Whisper model."""
    valid: float = 0.02
    """Share of recordings (by speaker) held out."""
    valid_rows: int = 32
    """Crops per validation."""
    valid_seconds: float = 1.0

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        found = []
        if not (0 < self.seconds <= 60 and 0 < self.valid_seconds <= 60 and 0 <= self.valid < 1):
            found.append("seconds must lie within 0 to 60, valid within 0 to 1")
        if not self.speeds or min(self.speeds) < 0.5 or max(self.speeds) > 2:
            found.append("speeds must lie within 0.5 to 2")
        if self.speeds != (1.0,) and not self.decoded:
            found.append("speeds need decoded = true")
        if any(share <= 0 for share in self.shares.values()):
            found.append("shares must be above 0")
        return found


@dataclass(frozen=True)
class DiscriminatorPart:
    """The discriminators."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    windows: tuple[int, ...] = (2048, 1024, 512)
    """Windows of the spectra, samples."""
    width: int = 32
    """Channels of the first layers."""
    kind: str = "lsgan"
    """Their loss: lsgan or hinge."""

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        good = all(p >= 1 for p in self.periods) and all(w >= 32 and w % 4 == 0 for w in self.windows)
        found = []
        if not (good and self.width >= 1 and (self.periods or self.windows)):
            found.append(
                "periods must be at least 1, windows multiples of 4 from 32, width at least 1; "
                "give at least one period or window"
            )
        if self.kind not in ("lsgan", "hinge"):
            found.append("kind is lsgan or hinge")
        return found


@dataclass(frozen=True)
class Weights:
    """Weights of the losses that the codec minimises."""

    mel: float = 15.0
    spectrum: float = 0.0
    """Weight of the distance of compressed complex spectra,"""
    wave: float = 0.0
    """and of samples; the latter is not part of the released recipe."""
    features: float = 2.0
    adversarial: float = 1.0
    codebook: float = 1.0
    commitment: float = 0.25


@dataclass(frozen=True)
class CodecStage(StagePlan):
    """A part of the run with its own length and learning rate."""

    name: str = "dac"
    steps: int = 400_000
    rows: int = 72
    """Crops per step, of all processes together."""
    rate: float = 1e-4
    by_fan_in: bool = False
    """Divide each weight's rate by the square root of its number of inputs: see `trainer._by_fan_in`."""
    decay: float = 0.999996
    """Factor on the learning rate per step."""
    warm_up: int = 0
    cosine: float | None = None
    """A cosine over the stage down to this share of the rate; None: none."""
    betas: tuple[float, ...] = (0.8, 0.99)
    weight_decay: float = 0.01
    clip: float = 1000.0
    """Highest norm of the codec's gradient; for the discriminators the limit is a hundredth of it."""
    dropout: float = 0.5
    """Share of rows that use fewer codebooks,"""
    dropout_from: int = 1
    """and how many at least (with codebooks by averages)."""
    adversarial: bool = True
    """Train discriminators and against them."""
    floor: str = "clamp"
    """How logarithms of mel spectra are kept finite: clamp, as released, or add (see `losses.spectra`)."""
    revive_every: int = 200
    """Number of steps between replacements of unused codes; 0: never."""
    noisy: float = 0.0
    """Share of rows whose input is noisy while their target is clean; needs --noise."""
    hearing: float = 0.0
    """Weight of `data.recogniser`'s distance: norm of its gradient relative to that of all other losses."""
    only: str = "all"
    """What is trained: all, or decoder, where encoder, codebooks and so all codes stay unchanged."""
    restart: int = 0
    """Reinitialise codebooks by k-means, in this many main directions of the latents, when the stage begins
    (with codebooks by averages); 0: no."""

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        found = []
        if min(self.steps, self.rows, self.dropout_from) < 1 or min(self.warm_up, self.revive_every) < 0:
            found.append("steps, rows and dropout_from must be at least 1, warm_up and revive_every 0")
        if self.rate <= 0 or not 0 < self.decay <= 1 or self.clip <= 0 or not 0 <= self.dropout <= 1:
            found.append("rate and clip must be above 0, decay and dropout within 0 to 1")
        if not 0 <= self.noisy <= 1 or min(self.hearing, self.minutes, self.restart) < 0:
            found.append("noisy must lie within 0 to 1, hearing, minutes and restart must be at least 0")
        if self.only not in ("all", "decoder") or self.floor not in ("clamp", "add"):
            found.append("only is all or decoder, floor is clamp or add")
        if len(self.betas) != 2:
            found.append("betas are two numbers")
        return [f"{self.name}: {problem}" for problem in found]


@dataclass(frozen=True)
class CodecRun(RunPart):
    """bfloat16 is for encoder, decoder and discriminators; the quantizer always computes in float32."""

    cadence: Cadence = field(default_factory=lambda: Cadence(10, 1000, 1000))


@dataclass(frozen=True)
class CodecRecipe(RunRecipe):
    """A whole run."""

    model: CodecPart = field(default_factory=CodecPart)
    units: UnitsPart = field(default_factory=UnitsPart)
    run: CodecRun = field(default_factory=CodecRun)
    data: DataPart = field(default_factory=DataPart)
    discriminators: DiscriminatorPart = field(default_factory=DiscriminatorPart)
    weights: Weights = field(default_factory=Weights)
    stage: tuple[CodecStage, ...] = (CodecStage(),)

    def stages(self) -> tuple[CodecStage, ...]:
        """The stages in order."""
        return self.stage

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        found = [] if self.stage else ["there is no stage"]
        if any(stage.hearing for stage in self.stage) and self.data.recogniser is None:
            found.append("stage.hearing needs data.recogniser")
        if any(stage.restart for stage in self.stage) and self.model.codebooks != "average":
            found.append("stage.restart needs model.codebooks = average")
        if self.units.encoder and (self.model.warm_start or self.model.codebooks == "average"):
            found.append("units are found by k-means once: no warm_start, no codebooks = average")
        return found
