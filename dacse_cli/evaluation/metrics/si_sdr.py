"""Scale-invariant signal-to-distortion ratio (Le Roux et al., "SDR - half-baked or well done?", 2019)."""

from __future__ import annotations

import numpy as np

from dacse_cli.evaluation.metric import (
    Clip,
    Column,
    Metric,
    Samples,
    Score,
    Scorer,
    ScoringOptions,
    UnscorableError,
)

LIMIT_DB = 100.0
"""Limit in dB: an exact copy would score infinity, and so would every mean that includes it."""


def si_sdr(samples: Samples, clean: Samples) -> float:
    """Energy of the part of `samples` [S] that is a multiple of `clean` [S] over the rest, in dB.

    The mean of both is removed first. Raises `UnscorableError` where `clean` is silent.
    """
    estimate = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    target = clean.astype(np.float64) - clean.mean(dtype=np.float64)
    energy = float(target @ target)
    if energy == 0:
        raise UnscorableError("the clean recording is silent")
    target *= float(estimate @ target) / energy  # the multiple of `clean` nearest to the estimate
    rest = estimate - target
    wanted, unwanted = float(target @ target), float(rest @ rest)
    if wanted == 0:
        return -LIMIT_DB
    if unwanted == 0:
        return LIMIT_DB
    return float(np.clip(10 * np.log10(wanted / unwanted), -LIMIT_DB, LIMIT_DB))


def _load(options: ScoringOptions) -> Scorer:
    def score(clip: Clip) -> tuple[Score, ...]:
        return (Score(si_sdr(clip.samples, clip.clean)),)

    return score


METRIC = Metric(
    name="si_sdr",
    columns=(Column("si_sdr", "dB", higher_is_better=True, decimals=1),),
    method="scale-invariant SDR at the clean recording's rate, within +-100 dB; no delay is allowed for",
    load=_load,
    rate=None,
)
