"""The words that a speech recogniser finds in an output, compared with those it finds in the input.

The guard's measures find what is invented, missing, too loud or at another pitch. They do not find a word
that was replaced by another of the same length and pitch; a recogniser can.

A recogniser guesses where it does not understand, and its guesses in noise differ from what it finds in clean
speech, however faithful that is. So words are compared only where the input is intelligible to it: where its
probabilities for the input are high, and where it finds the same words again when the input is slightly
delayed and attenuated, which changes no word but every activation in the network. The threshold `SURE` alone
would miss errors made with high confidence; repetition alone would miss errors that the recogniser always
makes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np

from dacse_cli.speech.recogniser import RATE, Samples, Transcript
from dacse_cli.speech.words import differences, word_errors

SURE = -0.6
"""Least mean log probability of the input's tokens at which its words are compared."""
FEWEST = 3
"""Least number of words in the input for a comparison."""
STEADY = 0.1
"""Share of the input's words that may differ when it is recognised again; one word may always differ."""
LEAST, SHARE = 3, 0.3
"""Words that must differ for a doubt: at least so many, and more than this share of the input's. Between a
noisy recording and the clean one up to three in ten differ although nothing is wrong
(`tests/benchmarks/bench_opinion.py`)."""


class Opinion(Enum):
    """The result of a comparison."""

    SAME = "same words"
    OTHER = "other words"
    NONE = "the input is not intelligible"


def opinion(heard: Transcript, said: Transcript, once_more: Callable[[], Transcript]) -> Opinion:
    """Compare the output's transcript `said` with the input's, `heard`.

    `once_more()` recognises the input again; it is called only where words differ.
    """
    if heard.sureness < SURE or len(heard.words) < FEWEST:
        return Opinion.NONE
    wrong = word_errors(heard.words, said.words)
    if wrong < LEAST or wrong <= SHARE * len(heard.words):
        return Opinion.SAME
    wavering = word_errors(heard.words, once_more().words)
    return Opinion.OTHER if wavering <= max(1, STEADY * len(heard.words)) else Opinion.NONE


def described(heard: Transcript, said: Transcript) -> tuple[str, ...]:
    """The differences as text for display: `light -> night`, `very -> (nothing)`."""
    return tuple(
        f"{before or '(nothing)'} -> {after or '(nothing)'}"
        for before, after in differences(heard.words, said.words)
    )


def later_and_softer(samples: Samples) -> Samples:
    """Samples `[S]` of the same words, a quarter of a second later and 3 dB softer."""
    return np.concatenate([np.zeros(RATE // 4, np.float32), 0.7 * samples], dtype=np.float32)


def pause(samples: Samples, first: int, stop: int) -> int:
    """The middle of the quietest 0.2 s between `first` and `stop` of samples `[S]`, where no word is cut."""
    hop, hops = RATE // 50, 10
    n = (stop - first) // hop
    energy = np.square(samples[first : first + n * hop], dtype=np.float64).reshape(n, hop).sum(axis=1)
    quietest = int(np.convolve(energy, np.ones(hops), "valid").argmin())
    return first + (quietest + hops // 2) * hop
