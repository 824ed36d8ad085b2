"""The tasks a pair can belong to, each a way to make clean speech worse, and the shares in which they come.

The ranges of the first seven are those of the published generator; `mixture` and `nano` lie in `recipes`.
`codec` and `clip` are what recordings suffer in practice and the published data lack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dacse_cli.errors import UsageError
from dacse_cli.training.mix.lossy import opus_compression, round_trip
from dacse_cli.training.mix.recipes import (
    LOW_RATES,
    Drawn,
    DrawNoise,
    DrawRoom,
    Range,
    mixture,
    nano_pair,
    reverberate,
)
from dacse_cli.training.mix.signals import Samples, add_at_snr, clip, coloured_noise, drop_packets, limit_band

GOLDEN_RATIO = (math.sqrt(5.0) - 1.0) / 2.0
CLIPPED_SHARE = (0.001, 0.1)
"""Share of samples that pass full scale; its logarithm is uniform."""
OPUS_KBPS = (6.0, 48.0)
"""Speech calls to good podcasts; the logarithm is uniform."""
MP3_COMPRESSION = Range(0.5, 0.97)
"""libsndfile's: 160 to 40 kbit/s at 44.1 kHz."""


@dataclass(frozen=True)
class Means:
    """What a task works with."""

    rate: int
    rng: np.random.Generator
    noise: DrawNoise
    room: DrawRoom


Task = Callable[[Samples, Means, Drawn], Samples]
"""Clean speech [S] -> noisy [S]; what was drawn goes into the record."""


def _clean(clean: Samples, means: Means, drawn: Drawn) -> Samples:
    return clean


def _white(clean: Samples, means: Means, drawn: Drawn) -> Samples:
    drawn["white_snr_db"] = Range(5.0, 25.0).draw(means.rng)
    return add_at_snr(clean, coloured_noise(len(clean), 0.0, means.rng), drawn["white_snr_db"])


def _loss(clean: Samples, means: Means, drawn: Drawn) -> Samples:
    return _lose(clean, means, drawn, Range(0.1, 0.3), Range(0.1, 0.2))


def _white_loss(clean: Samples, means: Means, drawn: Drawn) -> Samples:
    return _lose(_white(clean, means, drawn), means, drawn, Range(0.02, 0.2), Range(0.05, 0.2))


def _natural(clean: Samples, means: Means, drawn: Drawn) -> Samples:
    drawn["natural_snr_db"] = Range(-5.0, 15.0).draw(means.rng)
    noisy = add_at_snr(clean, means.noise(len(clean)), drawn["natural_snr_db"])
    return _reverb(noisy, means, drawn) if means.rng.random() < 0.1 else noisy


def _reverb(clean: Samples, means: Means, drawn: Drawn) -> Samples:
    return reverberate(clean, Range(0.0, 15.0), means.room, means.rng, drawn)


def _downsample(clean: Samples, means: Means, drawn: Drawn) -> Samples:
    drawn["low_rate"] = int(means.rng.choice(LOW_RATES))
    return limit_band(clean, means.rate, drawn["low_rate"])


def _mixture(clean: Samples, means: Means, drawn: Drawn) -> Samples:
    noisy, fitted, mixed = mixture(clean, means.rate, means.noise, means.rng, room=means.room)
    drawn.update(mixed)
    return _unfitted(noisy, fitted, clean)


def _nano(clean: Samples, means: Means, drawn: Drawn) -> Samples:
    noisy, fitted, mixed = nano_pair(clean, means.rate, means.noise, means.rng)
    drawn.update(mixed)
    return _unfitted(noisy, fitted, clean)


def _codec(clean: Samples, means: Means, drawn: Drawn) -> Samples:
    drawn["codec"] = str(means.rng.choice(("opus", "mp3")))
    if drawn["codec"] == "opus":
        drawn["compression"] = opus_compression(_draw_log(OPUS_KBPS, means.rng))
    else:
        drawn["compression"] = MP3_COMPRESSION.draw(means.rng)
    noisy, drawn["kbps"] = round_trip(clean, means.rate, drawn["codec"], drawn["compression"])
    return noisy


def _clip(clean: Samples, means: Means, drawn: Drawn) -> Samples:
    drawn["clipped_share"] = _draw_log(CLIPPED_SHARE, means.rng)
    return clip(clean, drawn["clipped_share"])


TASKS: Mapping[str, Task] = {
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
NEED_NOISE = frozenset({"natural", "mixture", "nano"})
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
            known = f"one of {', '.join([*DISTRIBUTIONS, *TASKS])}, or task=weight,task=weight"
            raise UsageError(f"--recipe {text}: what is {word!r}?", hint=f"Give {known}.")
        weights[name] = weight
    weights = weights or dict(DISTRIBUTIONS[text])
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def task_of(row: int, shares: Mapping[str, float]) -> str:
    """The task of row `row`: after any number of rows each task has had its share, but for a few rows.

    Row n takes the task at n times the golden ratio, modulo 1: the most even of all such sequences.
    """
    place, high = (row + 0.5) * GOLDEN_RATIO % 1.0, 0.0
    for name, share in shares.items():
        high += share
        if place < high:
            return name
    return name


def _lose(signal: Samples, means: Means, drawn: Drawn, drop: Range, seconds: Range) -> Samples:
    drawn["drop"] = drop.draw(means.rng)
    drawn["packet"] = round(seconds.draw(means.rng) * means.rate)
    return drop_packets(signal, drawn["packet"], drawn["drop"], means.rng)


def _unfitted(noisy: Samples, fitted: Samples, clean: Samples) -> Samples:
    """`noisy` without the gain that made `fitted` of `clean`: the caller fits and records it."""
    gain = np.abs(fitted).max() / np.abs(clean).max()
    return np.asarray(noisy / gain, np.float32)


def _draw_log(limits: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = limits
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
