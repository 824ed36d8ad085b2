"""The benchmark plants words that are gone, and counts who notices."""

import bench_opinion
import numpy as np
from guard_cases import Scene

from dacse_cli.speech.recogniser import RATE, Transcript


def steps(seconds, rng):
    """Steps of 0.25 s up or down, 0.05 s of silence between them: words to `hear`, speech to a scene."""
    step = np.concatenate([np.full(RATE // 4, 0.5), np.zeros(RATE // 20)])
    count = int(seconds * RATE / len(step))
    return np.concatenate([sign * step for sign in rng.choice([-1, 1], count)]).astype(np.float32)


def hear(samples, language=None):
    """A word for every step, by its sign."""
    loud = np.abs(samples) > 0.5 * np.abs(samples).max()
    starts = np.flatnonzero(np.diff(loud, prepend=False) & loud)
    return Transcript(tuple("up" if samples[at] > 0 else "down" for at in starts), "xx", -0.1)


def test_good_answers_pass_and_missing_words_are_counted():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(4):
        clean = steps(4.0, rng)
        found.append(Scene(clean, clean, np.inf, {"clean": clean}))
    counts = bench_opinion.rulings(found, hear, rng)
    assert counts["good: clean"] == {"answers": 4, "ruled on": 4, "doubted": 0}
    assert counts["dropped"] == {"answers": 4, "ruled on": 4, "doubted": 4}
    assert set(counts) == {"good: clean", "dropped", "turned round", "repeated", "other speech"}


def test_a_recogniser_that_is_unsure_rules_on_nothing():
    clean = steps(4.0, np.random.default_rng(0))
    scene = Scene(clean, clean, np.inf, {"clean": clean})

    def unsure(samples, language=None):
        return Transcript(hear(samples).words, "xx", -3.0)

    counts = bench_opinion.rulings([scene], unsure, np.random.default_rng(0))
    assert {count["ruled on"] for count in counts.values()} == {0}
