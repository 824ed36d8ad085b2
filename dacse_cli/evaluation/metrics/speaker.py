"""Speaker similarity: cosine of two voice embeddings (GE2E, Wan et al. 2018), by the package resemblyzer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dacse_cli.evaluation.metric import (
    Clip,
    Column,
    Metric,
    Remembered,
    Samples,
    Score,
    Scorer,
    ScoringOptions,
    UnscorableError,
)

LEVEL = 10 ** (-30 / 20)
"""RMS to which every recording is scaled: that of the encoder's training (-30 dB)."""


def _load(options: ScoringOptions) -> Scorer:
    from resemblyzer import VoiceEncoder

    encoder = VoiceEncoder("cpu", verbose=False)

    def embed(samples: Samples) -> npt.NDArray[np.float32] | None:
        """Voice embedding of `samples` [S] as a unit vector [256]. Pauses are kept on both sides.

        None for silence.
        """
        level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0
        if level == 0:
            return None
        return np.asarray(encoder.embed_utterance(samples * np.float32(LEVEL / level)))

    reference = Remembered(embed)

    def score(clip: Clip) -> tuple[Score, ...]:
        wanted, found = reference(clip.clean), embed(clip.samples)
        if wanted is None:
            raise UnscorableError("the clean recording is silent")
        # silence has no speaker; leaving it out would reward a system for muting
        return (Score(0.0 if found is None else float(wanted @ found)),)

    return score


METRIC = Metric(
    name="speaker",
    columns=(Column("speaker_similarity", "cosine", higher_is_better=True, decimals=3),),
    method="cosine of resemblyzer voice embeddings of recording and clean recording",
    load=_load,
    packages=("resemblyzer",),
    # resemblyzer names a PyPI back-port of `typing` and a webrtcvad that needs an old setuptools
    install="pip install --no-deps resemblyzer && pip install webrtcvad-wheels librosa scipy",
)
