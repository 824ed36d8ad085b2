"""Word error rate against the transcript of the clean recording (differential WER), by faster-whisper."""

from __future__ import annotations

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
from dacse_cli.speech.words import word_errors


def _load(options: ScoringOptions) -> Scorer:
    recognise = recogniser.load(options.asr)
    reference = Remembered(lambda clean: recognise(clean, options.language))

    def score(clip: Clip) -> tuple[Score, ...]:
        wanted = reference(clip.clean)
        if not wanted.words:
            raise UnscorableError("no words recognised in the clean recording")
        found = recognise(clip.samples, wanted.language)
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
    packages=(recogniser.PACKAGE,),
    install=recogniser.INSTALL,
    lacks=lambda options: recogniser.lacks(options.asr),
)
