"""The random parameters of a noisy training signal: the published recipes as numbers, and that of `nano`.

Ranges of the published generator (DAC-SE1, `create_data_SE.py`): the stand-alone tasks and the chances inside
`mixture`. Here each recipe works at the codec's rate, so that severities do not depend on the corpus.
Every drawn parameter is entered in `drawn`, for a manifest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dacse_cli.training.mix.signals import (
    add_at_snr,
    add_reverb,
    clicks,
    coloured_noise,
    drop_packets,
    hum,
    limit_band,
    room_response,
)
from dacse_cli.training.sound.level import Samples

Drawn = dict[str, Any]
DrawNoise = Callable[[int], Samples]
"""A number of samples -> natural noise of that length."""
DrawRoom = Callable[[np.random.Generator, Drawn], Samples]
"""A function for a room's response without direct sound; its drawn parameters go into the record."""

LOW_RATES = tuple(range(3500, 8001, 500))
"""Rates of the published down-sampling task, Hz."""


@dataclass(frozen=True)
class Range:
    """A uniform distribution over [low, high]."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """One value."""
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class Step:
    """One corruption inside a mixture: its probability and strength."""

    chance: float
    snr_db: Range = Range(0.0, 0.0)
    drop: Range = Range(0.0, 0.0)
    packet_ms: Range = Range(10.0, 200.0)


@dataclass(frozen=True)
class MixtureRecipe:
    """Corruptions in the published order: band, white noise, packet loss, natural noise, reverberation.

    If nothing is drawn, natural noise follows with `fallback` at `fallback_snr_db`, else the signal is clean.
    """

    band: Step = Step(0.25)
    white: Step = Step(0.20, Range(-7.0, 5.0))
    loss: Step = Step(0.05, drop=Range(0.02, 0.2))
    natural: Step = Step(0.70, Range(-8.0, 15.0))
    reverb: Step = Step(0.05, Range(-2.0, 15.0))
    fallback: float = 0.9
    fallback_snr_db: Range = Range(-5.0, 15.0)
    rt60: Range = Range(0.1, 0.8)


@dataclass(frozen=True)
class NanoRecipe:
    """Mostly natural noise, milder than the published mixture.

    A language model of a few million parameters trained on SNRs from -8 dB learns to guess words; from -2 dB
    it keeps them.
    """

    clean: float = 0.10
    reverb: float = 0.15
    band: float = 0.05
    snr_db: Range = Range(-2.0, 20.0)
    natural: float = 0.80
    """Share of natural noise; the rest is coloured noise (slope 0 to 1), hum and clicks."""
    rt60: Range = Range(0.1, 0.5)


def mixture(
    clean: Samples,
    rate: int,
    noise: DrawNoise,
    rng: np.random.Generator,
    drawn: Drawn,
    recipe: MixtureRecipe | None = None,
    room: DrawRoom | None = None,
) -> Samples:
    """The published `mixture` task: noisy [S]. No `room`: decaying noise."""
    recipe, noisy = recipe or MixtureRecipe(), clean
    if rng.random() < recipe.band.chance:
        drawn["low_rate"] = int(rng.choice(LOW_RATES))
        noisy = limit_band(noisy, rate, drawn["low_rate"])
    if rng.random() < recipe.white.chance:
        drawn["white_snr_db"] = recipe.white.snr_db.draw(rng)
        noisy = add_at_snr(noisy, coloured_noise(len(clean), 0.0, rng), drawn["white_snr_db"])
    if rng.random() < recipe.loss.chance:
        drawn["drop"] = recipe.loss.drop.draw(rng)
        drawn["packet"] = max(1, round(recipe.loss.packet_ms.draw(rng) / 1000.0 * rate))
        noisy = drop_packets(noisy, drawn["packet"], drawn["drop"], rng)
    if rng.random() < recipe.natural.chance:
        drawn["natural_snr_db"] = recipe.natural.snr_db.draw(rng)
        noisy = add_at_snr(noisy, noise(len(clean)), drawn["natural_snr_db"])
    if rng.random() < recipe.reverb.chance:
        room = room or decaying_room(rate, recipe.rt60)
        noisy = reverberate(noisy, recipe.reverb.snr_db, room, rng, drawn)
    if not drawn and rng.random() < recipe.fallback:
        drawn["natural_snr_db"] = recipe.fallback_snr_db.draw(rng)
        noisy = add_at_snr(noisy, noise(len(clean)), drawn["natural_snr_db"])
    return noisy


def nano_mixture(
    clean: Samples,
    rate: int,
    noise: DrawNoise,
    rng: np.random.Generator,
    drawn: Drawn,
    recipe: NanoRecipe | None = None,
) -> Samples:
    """The training mixture of the built-in language model: noisy [S]."""
    recipe, noisy = recipe or NanoRecipe(), clean
    if rng.random() < recipe.clean:
        return clean
    if rng.random() < recipe.reverb:
        noisy = reverberate(noisy, Range(2.0, 15.0), decaying_room(rate, recipe.rt60), rng, drawn)
    drawn["snr_db"] = recipe.snr_db.draw(rng)
    drawn["kind"] = "natural" if rng.random() < recipe.natural else "made"
    disturbance = noise(len(clean)) if drawn["kind"] == "natural" else _made_noise(len(clean), rate, rng)
    noisy = add_at_snr(noisy, disturbance, drawn["snr_db"])
    if rng.random() < recipe.band:
        drawn["low_rate"] = 500 * int(rng.uniform(0.4, 0.9) * rate / 500)  # a short resampling filter
        noisy = limit_band(noisy, rate, drawn["low_rate"])
    return noisy


def _made_noise(samples: int, rate: int, rng: np.random.Generator) -> Samples:
    """Coloured noise, in a third of all cases under hum, in a fifth with clicks."""
    noise = coloured_noise(samples, rng.uniform(0.0, 1.0), rng)
    if rng.random() < 1 / 3:
        noise = noise * np.float32(0.3) + hum(samples, rate, float(rng.choice((50.0, 60.0))), rng)
    if rng.random() < 1 / 5:
        noise = noise + clicks(samples, rate, rng.uniform(1.0, 20.0), rng)
    return noise


def decaying_room(rate: int, rt60: Range) -> DrawRoom:
    """Rooms whose response is decaying noise, with reverberation times of `rt60`."""

    def draw(rng: np.random.Generator, drawn: Drawn) -> Samples:
        drawn["rt60"] = rt60.draw(rng)
        return room_response(rate, drawn["rt60"], rng)

    return draw


def reverberate(
    signal: Samples, ratio_db: Range, room: DrawRoom, rng: np.random.Generator, drawn: Drawn
) -> Samples:
    """`signal` in a drawn room, at a drawn ratio of dry to wet power."""
    drawn["dry_to_wet_db"] = ratio_db.draw(rng)
    return add_reverb(signal, room(rng, drawn), drawn["dry_to_wet_db"])
