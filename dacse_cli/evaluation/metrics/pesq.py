"""Wide-band PESQ (ITU-T P.862.2), by the package pesq."""

from __future__ import annotations

import math
from itertools import pairwise

from dacse_cli.evaluation.metric import (
    SPEECH_RATE,
    Clip,
    Column,
    Metric,
    Samples,
    Score,
    Scorer,
    ScoringOptions,
    UnscorableError,
)

LONGEST_PASSAGE = 20 * SPEECH_RATE
"""Samples. The reference code has room for 50 utterances and writes past it (the process dies); an utterance
and the pause after it last 0.4 s or more, so 20 s are always safe. P.862 is made for passages this long."""

LOWEST = 0.999 + 4 / (1 + math.exp(1.3669 * 0.5 + 3.8224))
"""P.862.2's mapping of the raw score -0.5. Digital silence gets it: the reference code divides by its level,
and leaving such passages out would reward a system for muting them."""


def passages(samples: int) -> list[tuple[int, int]]:
    """The fewest equally long `[start, stop)` parts, none longer than `LONGEST_PASSAGE`."""
    count = max(1, -(-samples // LONGEST_PASSAGE))
    edges = [round(i * samples / count) for i in range(count + 1)]
    return list(pairwise(edges))


def _load(options: ScoringOptions) -> Scorer:
    from pesq import PesqError, pesq

    def passage(samples: Samples, clean: Samples) -> float | None:
        if not clean.any():
            return None
        if not samples.any():
            return LOWEST
        try:
            return float(pesq(SPEECH_RATE, clean, samples, "wb"))
        except PesqError:  # no utterance found, or shorter than a quarter of a second
            return None

    def score(clip: Clip) -> tuple[Score, ...]:
        parts = [passage(clip.samples[a:b], clip.clean[a:b]) for a, b in passages(clip.clean.size)]
        values = [value for value in parts if value is not None]
        if not values:
            raise UnscorableError("no speech found in the clean recording")
        return (Score(sum(values) / len(values)),)

    return score


METRIC = Metric(
    name="pesq",
    columns=(Column("pesq", "MOS-LQO", higher_is_better=True),),
    method="wide-band PESQ by the package pesq; recordings over 20 s in equal passages, averaged",
    load=_load,
    packages=("pesq",),
    install="pip install 'dacse[evaluate]'",
)
