"""A second opinion on what an answer says: words that a recogniser hears in it, against those of the input.

The guard's own ear finds what is invented, missing, too loud or at another pitch. A word that was swapped for
another of the same length and pitch is none of these, and takes somebody who knows words.

A recogniser guesses where it does not understand, and what it guesses in noise differs from what it hears in
clean speech, however faithful that is. So words count only where the input is intelligible to it: where it is
sure of what it hears there, by the probabilities it gives itself, and hears the same words once more when the
sound comes a little later and softer, which changes no word but every number in the network. The threshold
of `SURE` alone would let through what it is wrongly sure of; repetition alone what it always gets wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np

from dacse_cli.speech.recogniser import RATE, Samples, Transcript
from dacse_cli.speech.words import differences, word_errors

SURE = -0.6
"""Mean log probability of the input's tokens from which on they are believed."""
FEWEST = 3
"""Words of the input without which nothing is said about it."""
STEADY = 0.1
"""Share of the input's words that may differ when it is heard once more; one word always may."""
LEAST, SHARE = 3, 0.3
"""Words that must differ for a doubt: so many, and more than this share of the input's. Between a noisy
recording and the clean one up to three in ten differ for no fault (`tests/benchmarks/bench_opinion.py`)."""


class Opinion(Enum):
    """What is thought of a passage."""

    SAME = "same words"
    OTHER = "other words"
    NONE = "the input is not intelligible"


def opinion(heard: Transcript, said: Transcript, once_more: Callable[[], Transcript]) -> Opinion:
    """Of an answer's transcript `said` against the input's. `once_more()` hears the input a second time; it
    is asked only where words differ."""
    if heard.sureness < SURE or len(heard.words) < FEWEST:
        return Opinion.NONE
    wrong = word_errors(heard.words, said.words)
    if wrong < LEAST or wrong <= SHARE * len(heard.words):
        return Opinion.SAME
    wavering = word_errors(heard.words, once_more().words)
    return Opinion.OTHER if wavering <= max(1, STEADY * len(heard.words)) else Opinion.NONE


def described(heard: Transcript, said: Transcript) -> tuple[str, ...]:
    """What differs, for people: `light -> night`, `very -> (nothing)`."""
    return tuple(
        f"{before or '(nothing)'} -> {after or '(nothing)'}"
        for before, after in differences(heard.words, said.words)
    )


def later_and_softer(samples: Samples) -> Samples:
    """The same sound `[S]` to an ear, other numbers to a network."""
    return np.concatenate([np.zeros(RATE // 4, np.float32), 0.7 * samples], dtype=np.float32)


def pause(samples: Samples, first: int, stop: int) -> int:
    """The middle of the quietest 0.2 s between `first` and `stop` of samples `[S]`: no word is cut there."""
    hop, hops = RATE // 50, 10
    n = (stop - first) // hop
    energy = np.square(samples[first : first + n * hop], dtype=np.float64).reshape(n, hop).sum(axis=1)
    quietest = int(np.convolve(energy, np.ones(hops), "valid").argmin())
    return first + (quietest + hops // 2) * hop
