"""The training settings of a mask network, as in a recipe file. Numbers only; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from dacse_cli.training.runs.recipe import Origin, RunPart, RunRecipe
from dacse_cli.training.runs.stages import Cadence, StagePlan

RATE = 16_000
"""Sample rate of the rows, Hz: the network processes 0 to 8 kHz of any recording."""


RATED_SAMPLES = 144_160
"""Seconds that DNSMOS rates at once."""


@dataclass(frozen=True)
class MaskPart(Origin):
    """Sizes of a fresh network, or a network to continue from (`start`)."""

    width: int = 48
    blocks: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 8)
    """Dilation of each block, frames."""

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        from dacse_cli.filters.mask.config import MaskConfig

        found = super().problems() + MaskConfig(width=self.width, dilations=self.blocks).problems()
        if self.size is not None or self.config is not None:
            found.append("a mask network has no size and no config: give width and blocks")
        return found


@dataclass(frozen=True)
class DataPart:
    """How the recordings are used."""

    seconds: float = 2.56
    shares: dict[str, float] = field(default_factory=dict)
    """Share of rows by the first folder of a recording's name; empty: by length."""
    speeds: tuple[float, ...] = (1.0,)
    """Recordings are also played at these speeds."""
    mix: str = "filter"
    """How noise is mixed: see `dacse mix --recipe`."""
    rooms: str = "auto"
    """Simulated rooms: image, decay or auto, as in `dacse mix --room`."""
    valid: float = 0.02
    """Share of speakers held out; of recordings, where that is less than one speaker."""
    valid_rows: int = 64
    recogniser: str | None = None
    """CTranslate2 folder of a Whisper model, for `stage.hearing`."""
    guide: str | None = None
    """Codec folder; with it the network also reads a guide, simulated for half of the rows: see `guides`."""

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        found = []
        if not (0.5 <= self.seconds <= 60 and 0 <= self.valid < 1 and self.valid_rows >= 1):
            found.append("seconds must lie within 0.5 to 60, valid within 0 to 1, valid_rows be at least 1")
        if not self.speeds or min(self.speeds) < 0.5 or max(self.speeds) > 2:
            found.append("speeds must lie within 0.5 to 2")
        if any(share <= 0 for share in self.shares.values()):
            found.append("shares must be above 0")
        return found


@dataclass(frozen=True)
class MaskStage(StagePlan):
    """A part of the run with its own length and learning rate."""

    name: str = "mask"
    steps: int = 50_000
    rows: int = 4
    """Rows per step, of all processes together."""
    rate: float = 4e-3
    warm_up: int = 300
    tail: float = 0.3
    """Final share of the stage in which the learning rate falls linearly."""
    optimizer: str = "muon"
    clip: float = 1.0
    missing: float = 0.5
    """Additional weight of removed speech: see `losses.compressed`."""
    perceived: float = 0.0
    """Weight of perceived disturbance (see `losses.perceived`),"""
    intelligibility: float = 0.0
    """and of 1 - STOI (see `losses.intelligibility`)."""
    opinion: float = 0.0
    """Weight of DNSMOS P.835 per point of OVRL: see `losses.opinion`. Needs rows of 9.01 s together."""
    opinion_every: int = 1
    """Steps between ratings: a rating costs as much as all other work of a step."""
    hearing: float = 0.0
    """Weight of the distance in features of `data.recogniser` (see `losses.hearing`),"""
    voice: float = 0.0
    """and of the distance of speaker embeddings (see `losses.speaker`)."""
    average: float = 0.9995
    """Decay of the average of the weights, which is the network that is written."""

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        found = []
        weights = (
            self.missing,
            self.perceived,
            self.intelligibility,
            self.opinion,
            self.hearing,
            self.voice,
        )
        if (
            min(self.steps, self.rows, self.opinion_every) < 1
            or min(self.warm_up, self.minutes, *weights) < 0
        ):
            found.append(
                "steps, rows and opinion_every must be at least 1; warm_up, minutes and weights at least 0"
            )
        if self.rate <= 0 or self.clip <= 0 or not 0 <= self.tail <= 1 or not 0 <= self.average < 1:
            found.append("rate and clip must be above 0, tail and average within 0 to 1")
        if self.optimizer not in ("muon", "adamw"):
            found.append("optimizer is muon or adamw")
        return [f"{self.name}: {problem}" for problem in found]


@dataclass(frozen=True)
class MaskRun(RunPart):
    """bfloat16 is for the network; spectra and the loss are float32."""

    bf16: bool = True
    cadence: Cadence = field(default_factory=lambda: Cadence(50, 1000, 500))


@dataclass(frozen=True)
class MaskRecipe(RunRecipe):
    """A whole run."""

    model: MaskPart = field(default_factory=MaskPart)
    run: MaskRun = field(default_factory=MaskRun)
    data: DataPart = field(default_factory=DataPart)
    stage: tuple[MaskStage, ...] = (MaskStage(),)

    def stages(self) -> tuple[MaskStage, ...]:
        """The stages in order."""
        return self.stage

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        found = [] if self.stage else ["there is no stage"]
        found += [
            f"{stage.name}: opinion needs rows of 9.01 s together"
            for stage in self.stage
            if stage.opinion and stage.rows * round(self.data.seconds * RATE) < RATED_SAMPLES
        ]
        if any(stage.hearing for stage in self.stage) and self.data.recogniser is None:
            found.append("stage.hearing needs data.recogniser")
        return found
