"""Word error rate against the transcript of the clean recording (differential WER), by faster-whisper."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from dacse_cli.evaluation.metric import (
    Clip,
    Column,
    Metric,
    Remembered,
    Score,
    Scorer,
    ScoringOptions,
    UnscorableError,
)
from dacse_cli.speech import recogniser
from dacse_cli.speech.recogniser import Transcript
from dacse_cli.speech.words import word_errors


def _load(options: ScoringOptions) -> Scorer:
    recognise = recogniser.load(options.asr)
    reference = Remembered(lambda clean: recognise(clean, options.language))

    def score(clip: Clip) -> tuple[Score, ...]:
        clean = reference(clip.clean)
        wanted = normalised(clean)
        if not wanted:
            raise UnscorableError("no words recognised in the clean recording")
        found = normalised(recognise(clip.samples, clean.language))
        return (Score(word_errors(wanted, found), len(wanted)),)

    return score


def normalised(heard: Transcript) -> list[str]:
    """The words to compare. In English "twenty-one" is "21" and "don't" is "do not", as in Whisper's paper.

    British and American spellings are not unified: both transcripts come from one recogniser.
    """
    if not heard.language.startswith("en"):
        return list(heard.words)
    return _english()(heard.text).split()


@cache
def _english() -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    normalise: Callable[[str], str] = EnglishTextNormalizer({})
    return normalise


METRIC = Metric(
    name="wer",
    columns=(Column("wer", "errors per word", higher_is_better=False, decimals=3),),
    method=(
        "word errors against the Whisper transcript of the clean recording (the model named, else tiny.en), "
        "after Whisper's normaliser where it is English, over all words of all files"
    ),
    load=_load,
    packages=(recogniser.PACKAGE,),
    install=recogniser.INSTALL,
    lacks=lambda options: recogniser.lacks(options.asr),
)
