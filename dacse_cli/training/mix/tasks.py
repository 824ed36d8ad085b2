"""The tasks a pair can belong to, each a way to degrade clean speech, and their shares.

The ranges of the first seven are those of the published generator; `mixture` and `nano` lie in `recipes`,
`filter` in `disturbances`.
`codec` and `clip` are common degradations that the published data lack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dacse_cli.errors import UsageError, did_you_mean
from dacse_cli.training.mix.disturbances import Sources, disturbed
from dacse_cli.training.mix.lossy import opus_compression, round_trip
from dacse_cli.training.mix.recipes import (
    LOW_RATES,
    Drawn,
    DrawNoise,
    DrawRoom,
    Range,
    mixture,
    nano_mixture,
    reverberate,
)
from dacse_cli.training.mix.signals import add_at_snr, clip, coloured_noise, drop_packets, limit_band
from dacse_cli.training.sound.level import Samples

GOLDEN_RATIO = (math.sqrt(5.0) - 1.0) / 2.0
CLIPPED_SHARE = (0.001, 0.1)
"""Share of samples that exceed full scale (log-uniform)."""
OPUS_KBPS = (6.0, 48.0)
"""Bit rates from speech calls to good podcasts (log-uniform)."""
MP3_COMPRESSION = Range(0.5, 0.97)
"""libsndfile's: 160 to 40 kbit/s at 44.1 kHz."""


@dataclass(frozen=True)
class TaskContext:
    """What a task draws from."""

    rate: int
    rng: np.random.Generator
    noise: DrawNoise
    room: DrawRoom
    voices: DrawNoise | None = None
    """Other speech, for babble."""


Task = Callable[[Samples, TaskContext, Drawn], tuple[Samples, Samples]]
"""Clean speech [S] -> noisy [S] and its target [S]; drawn parameters go into the record."""
Change = Callable[[Samples, TaskContext, Drawn], Samples]
"""Clean speech [S] -> noisy [S], with the clean speech as the target."""


def _clean(clean: Samples, context: TaskContext, drawn: Drawn) -> Samples:
    return clean


def _white(clean: Samples, context: TaskContext, drawn: Drawn) -> Samples:
    drawn["white_snr_db"] = Range(5.0, 25.0).draw(context.rng)
    return add_at_snr(clean, coloured_noise(len(clean), 0.0, context.rng), drawn["white_snr_db"])


def _loss(clean: Samples, context: TaskContext, drawn: Drawn) -> Samples:
    return _lose(clean, context, drawn, Range(0.1, 0.3), Range(0.1, 0.2))


def _white_loss(clean: Samples, context: TaskContext, drawn: Drawn) -> Samples:
    return _lose(_white(clean, context, drawn), context, drawn, Range(0.02, 0.2), Range(0.05, 0.2))


def _natural(clean: Samples, context: TaskContext, drawn: Drawn) -> Samples:
    drawn["natural_snr_db"] = Range(-5.0, 15.0).draw(context.rng)
    noisy = add_at_snr(clean, context.noise(len(clean)), drawn["natural_snr_db"])
    return _reverb(noisy, context, drawn) if context.rng.random() < 0.1 else noisy


def _reverb(clean: Samples, context: TaskContext, drawn: Drawn) -> Samples:
    return reverberate(clean, Range(0.0, 15.0), context.room, context.rng, drawn)


def _downsample(clean: Samples, context: TaskContext, drawn: Drawn) -> Samples:
    drawn["low_rate"] = int(context.rng.choice(LOW_RATES))
    return limit_band(clean, context.rate, drawn["low_rate"])


def _mixture(clean: Samples, context: TaskContext, drawn: Drawn) -> Samples:
    return mixture(clean, context.rate, context.noise, context.rng, drawn, room=context.room)


def _nano(clean: Samples, context: TaskContext, drawn: Drawn) -> Samples:
    return nano_mixture(clean, context.rate, context.noise, context.rng, drawn)


def _filter(clean: Samples, context: TaskContext, drawn: Drawn) -> tuple[Samples, Samples]:
    sources = Sources(context.rate, context.noise, context.voices, context.room)
    return disturbed(clean, sources, context.rng, drawn)


def _codec(clean: Samples, context: TaskContext, drawn: Drawn) -> Samples:
    drawn["codec"] = str(context.rng.choice(("opus", "mp3")))
    if drawn["codec"] == "opus":
        drawn["compression"] = opus_compression(_draw_log(OPUS_KBPS, context.rng))
    else:
        drawn["compression"] = MP3_COMPRESSION.draw(context.rng)
    noisy, drawn["kbps"] = round_trip(clean, context.rate, drawn["codec"], drawn["compression"])
    return noisy


def _clip(clean: Samples, context: TaskContext, drawn: Drawn) -> Samples:
    drawn["clipped_share"] = _draw_log(CLIPPED_SHARE, context.rng)
    return clip(clean, drawn["clipped_share"])


def _kept(change: Change) -> Task:
    """A task whose target is the clean speech itself."""

    def task(clean: Samples, context: TaskContext, drawn: Drawn) -> tuple[Samples, Samples]:
        return change(clean, context, drawn), clean

    return task


_KEPT: Mapping[str, Change] = {
    "clean": _clean,
    "white": _white,
    "loss": _loss,
    "white-loss": _white_loss,
    "natural": _natural,
    "reverb": _reverb,
    "downsample": _downsample,
    "mixture": _mixture,
    "codec": _codec,
    "clip": _clip,
    "nano": _nano,
}
TASKS: Mapping[str, Task] = {**{name: _kept(change) for name, change in _KEPT.items()}, "filter": _filter}
NEED_NOISE = frozenset({"natural", "mixture", "nano", "filter"})
_CUSTOM = {
    "clean": 2000,
    "white": 1000,
    "loss": 1000,
    "white-loss": 1000,
    "reverb": 2000,
    "downsample": 2000,
    "natural": 3000,
    "mixture": 10_000,
}
DISTRIBUTIONS: Mapping[str, Mapping[str, float]] = {
    "general": {"mixture": 1},
    "custom": _CUSTOM,
    "extended": {**_CUSTOM, "codec": 1000, "clip": 1000},
}
"""`general` and `custom` are the published ones."""


def parse_recipe(text: str) -> dict[str, float]:
    """A distribution's name, a task's name or `natural=3,reverb=1` -> share of each task, adding up to 1.

    Raises `UsageError`.
    """
    weights: dict[str, float] = {}
    for word in () if text in DISTRIBUTIONS else text.split(","):
        name, _, number = (part.strip() for part in word.partition("="))
        try:
            weight = float(number or 1.0)
        except ValueError:
            weight = 0.0
        if name not in TASKS or name in weights or not 0 < weight < 1e9:
            known = [*DISTRIBUTIONS, *TASKS]
            every = f"Give one of {', '.join(known)}, or task=weight,task=weight."
            hint = every if name in TASKS else did_you_mean(name, known, every)
            raise UsageError(f"`recipe` {text}: unknown task {word!r}", hint=hint)
        weights[name] = weight
    weights = weights or dict(DISTRIBUTIONS[text])
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def task_of(row: int, shares: Mapping[str, float]) -> str:
    """The task of row `row`: after any number of rows each task has its share within a few rows.

    Row n takes the task at n times the golden ratio, modulo 1: the most even of all such sequences.
    """
    place, high = (row + 0.5) * GOLDEN_RATIO % 1.0, 0.0
    for name, share in shares.items():
        high += share
        if place < high:
            return name
    return name


def _lose(signal: Samples, context: TaskContext, drawn: Drawn, drop: Range, seconds: Range) -> Samples:
    drawn["drop"] = drop.draw(context.rng)
    drawn["packet"] = round(seconds.draw(context.rng) * context.rate)
    return drop_packets(signal, drawn["packet"], drawn["drop"], context.rng)


def _draw_log(limits: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = limits
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
