"""Short-time objective intelligibility (Taal et al., 2011), by the package pystoi."""

from __future__ import annotations

import warnings

from dacse_cli.evaluation.metric import Clip, Column, Metric, Score, Scorer, ScoringOptions, UnscorableError


def _load(options: ScoringOptions) -> Scorer:
    from pystoi import stoi

    def score(clip: Clip) -> tuple[Score, ...]:
        if not clip.clean.any():
            raise UnscorableError("the clean recording is silent")
        with warnings.catch_warnings():
            # pystoi warns and returns 1e-5, which would look like a very bad score
            warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
            try:
                return (Score(float(stoi(clip.clean, clip.samples, clip.rate))),)
            except (RuntimeWarning, ValueError) as error:
                # ValueError: not one frame is left once silence is removed
                raise UnscorableError("less than 0.4 s of speech") from error

    return score


METRIC = Metric(
    name="stoi",
    columns=(Column("stoi", "0 to 1", higher_is_better=True, decimals=3),),
    method="STOI by pystoi, at 16 kHz",
    load=_load,
    packages=("pystoi",),
    install="pip install 'dacse[evaluate]'",
)
