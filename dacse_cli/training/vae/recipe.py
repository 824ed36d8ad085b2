"""The training settings of a speech VAE, as in a recipe file. Numbers only; imports no torch.

The defaults are DC-Speech-VAE's: crops of 11.15 s, noise of up to 0.5 on the latents, weights 5, 0.25, 2
and 1 of mel, dispersive, feature and adversarial losses, Muon for matrices. What differs: the gains of weight
norm are not matrices, so AdamW updates them (in the published recipe, Muon does); recordings are shuffled
and, with several GPUs, different on each; crops have a random level.

Tried on one CPU core: 1.2 million weights, 1,254 steps of 4 crops of 2.25 s, Muon at 2e-3, no discriminators:
mel distance of held-out speech 0.33 (2.26 after 146 steps, when only a mean spectrum was learnt), 0.39 with
noise of 0.3 on the latents; 156 further steps with discriminators left it there (examples/recipes/vae).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dacse_cli.training.runs.recipe import Origin, RunPart, RunRecipe
from dacse_cli.training.runs.stages import Cadence, StagePlan

PARTS = ("autoencoder", "vocoder")


@dataclass(frozen=True)
class VaePart(Origin):
    """Where the network comes from: a config.json (fresh), a folder (`start`), or else the released shape."""

    vocoder: str | None = None
    """A speech VAE's folder whose vocoder the trained one gets; None: `start`'s, else Griffin-Lim."""

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        found = super().problems()
        if self.size is not None:
            found.append("a speech VAE has no sizes: give a config.json")
        return found


@dataclass(frozen=True)
class DataPart:
    """How the recordings are used."""

    seconds: float = 11.15
    level_db: float = -23.0
    """Root mean square of a crop, dB of full scale, where its peaks allow it."""
    spread_db: float = 6.0
    """Standard deviation of that level."""
    shares: dict[str, float] = field(default_factory=dict)
    """Share of crops by the first folder of a recording's name; empty: by length."""
    decoded: bool = True
    """Keep all recordings decoded in OUT/sound, two bytes per sample: much faster to draw from."""
    valid: float = 0.02
    """Share of recordings (by speaker) held out."""
    valid_rows: int = 16
    """Crops per validation."""

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        found = []
        if not (0.75 <= self.seconds <= 60 and 0 <= self.valid < 1 and self.valid_rows >= 1):
            found.append("seconds must lie within 0.75 to 60, valid within 0 to 1, valid_rows be at least 1")
        if any(share <= 0 for share in self.shares.values()):
            found.append("shares must be above 0")
        return found


@dataclass(frozen=True)
class DiscriminatorPart:
    """The discriminators; the numbers are channels of their first layers."""

    band_width: int = 32
    patch_width: int = 32
    wave_width: int = 32
    """Of those of a vocoder: see `dacse train codec`."""

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        widths = (self.band_width, self.patch_width, self.wave_width)
        return [] if min(widths) >= 1 else ["widths must be at least 1"]


@dataclass(frozen=True)
class Weights:
    """Weights of the losses that the autoencoder minimises."""

    mel: float = 5.0
    """Mean absolute difference of log-mels,"""
    dispersive: float = 0.25
    """squared cosines between latents of different rows."""
    features: float = 2.0
    adversarial: float = 1.0


@dataclass(frozen=True)
class VocoderWeights:
    """Weights of the losses that a vocoder minimises, as for BigVGAN."""

    mel: float = 15.0
    """Sum of seven mel distances,"""
    features: float = 2.0
    adversarial: float = 1.0


@dataclass(frozen=True)
class VaeStage(StagePlan):
    """A part of the run with its own length and learning rate."""

    name: str = "vae"
    part: str = "autoencoder"
    """The part that is trained: `autoencoder` or `vocoder`. The other one is unchanged."""
    steps: int = 700_000
    rows: int = 4
    """Crops per step, of all processes together; each process needs at least 2."""
    rate: float = 1e-4
    """As AdamW's: Muon's updates are scaled to the same size."""
    warm_up: int = 0
    tail: float = 0.0
    """Final share of the stage in which the learning rate falls linearly."""
    optimizer: str = "muon"
    betas: tuple[float, ...] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 500.0
    """Largest gradient norm of both sides."""
    noise: float = 0.5
    """Greatest deviation of the noise on the latents."""
    adversarial: bool = True
    """Train discriminators and against them."""

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        found = []
        if self.steps < 1 or self.rows < 2 or min(self.warm_up, self.minutes, self.noise) < 0:
            found.append("steps must be at least 1, rows 2 (a single row has none to differ from), others 0")
        if self.rate <= 0 or self.clip <= 0 or not 0 <= self.tail <= 1 or self.weight_decay < 0:
            found.append("rate and clip must be above 0, tail within 0 to 1, weight_decay at least 0")
        if self.optimizer not in ("muon", "adamw") or len(self.betas) != 2:
            found.append("optimizer is muon or adamw, betas are two numbers")
        if self.part not in PARTS:
            found.append(f"part is {' or '.join(PARTS)}")
        return [f"{self.name}: {problem}" for problem in found]


@dataclass(frozen=True)
class VaeRun(RunPart):
    """bfloat16 is for autoencoder and discriminators; spectra and losses are float32."""

    cadence: Cadence = field(default_factory=lambda: Cadence(10, 1000, 1000))


@dataclass(frozen=True)
class VaeRecipe(RunRecipe):
    """A whole run."""

    model: VaePart = field(default_factory=VaePart)
    run: VaeRun = field(default_factory=VaeRun)
    data: DataPart = field(default_factory=DataPart)
    discriminators: DiscriminatorPart = field(default_factory=DiscriminatorPart)
    weights: Weights = field(default_factory=Weights)
    vocoder_weights: VocoderWeights = field(default_factory=VocoderWeights)
    stage: tuple[VaeStage, ...] = (VaeStage(),)

    def stages(self) -> tuple[VaeStage, ...]:
        """The stages in order."""
        return self.stage

    def problems(self) -> list[str]:
        """What is wrong with these values."""
        return [] if self.stage else ["there is no stage"]
