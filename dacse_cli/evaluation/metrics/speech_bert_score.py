"""SpeechBERTScore (Saeki et al., 2024): similarity of speech features to the clean recording's.

Every frame's self-supervised feature is matched with its most similar clean frame; the score is the mean
cosine (the authors' precision). Layer 14 of WavLM-large is their choice.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from dacse_cli.errors import ModelError
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

SHORTEST = 400
"""Samples under the first feature frame of WavLM."""


def precision(features: npt.NDArray[np.float32], clean: npt.NDArray[np.float32]) -> float:
    """Mean over frames of `features` [T, D] of the highest cosine with any frame of `clean` [U, D]."""
    unit, reference = (
        x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (features, clean)
    )
    return float((unit @ reference.T).max(axis=1).mean())


def lacks(options: ScoringOptions) -> str | None:
    """What is missing: the model (1.2 GB), which is in no package."""
    return None if options.wavlm else "no WavLM model: name the folder of microsoft/wavlm-large"


def _load(options: ScoringOptions) -> Scorer:
    import torch
    from transformers import WavLMModel

    folder = Path(options.wavlm or "")
    try:
        model = WavLMModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"WavLM model {folder} cannot be loaded: {error}",
            hint="It must be a folder with config.json and model.safetensors.",
        ) from error
    layers = model.config.num_hidden_layers
    if options.wavlm_layer > layers:
        raise ModelError(
            f"WavLM model {folder} has {layers} layers, layer {options.wavlm_layer} was asked for"
        )

    def features(samples: Samples) -> npt.NDArray[np.float32]:
        """Hidden states [T, D] of one layer for `samples` [S] at 16 kHz, not normalised, as published."""
        if samples.size < SHORTEST:
            raise UnscorableError("shorter than one feature frame")
        with torch.inference_mode():
            states = model(torch.from_numpy(samples)[None], output_hidden_states=True).hidden_states
        return np.asarray(states[options.wavlm_layer][0].numpy())

    reference = Remembered(features)

    def score(clip: Clip) -> tuple[Score, ...]:
        return (Score(precision(features(clip.samples), reference(clip.clean))),)

    return score


METRIC = Metric(
    name="speech_bert_score",
    columns=(Column("speech_bert_score", "cosine", higher_is_better=True, decimals=3),),
    method="SpeechBERTScore (precision) on WavLM features",
    load=_load,
    packages=("torch", "transformers"),
    install="pip install dacse",
    lacks=lacks,
)
