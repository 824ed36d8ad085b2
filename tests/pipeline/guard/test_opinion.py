"""A second opinion: words of input and result compared, with recognisers that hear what a test puts in."""

import importlib.util
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import LEVELS, EchoTranslator, fake_models, on_grid
from hypothesis import given
from hypothesis import strategies as st
from test_guard_tasks import run

from dacse_cli import Enhancer
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import InputError, ModelError
from dacse_cli.pipeline.guard import transcripts as rules
from dacse_cli.pipeline.guard.transcripts import Opinion, described, later_and_softer, opinion, pause
from dacse_cli.pipeline.request.find_models import find_models
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.settings import settings_hash_of
from dacse_cli.pipeline.task.open import open_task
from dacse_cli.pipeline.task.reading.sources import ArraySource, Signal
from dacse_cli.pipeline.task.writing.second_opinion import LONGEST, SHORTEST
from dacse_cli.pipeline.wire.coding import from_json, to_json
from dacse_cli.pipeline.wire.guard_report import GuardReport
from dacse_cli.pipeline.wire.messages import Form, Work
from dacse_cli.speech.recogniser import BUNDLED, PACKAGE, RATE, Transcript
from dacse_cli.tokens.files import TokenFile
from dacse_cli.tokens.formats import dump

EXAMPLES = Path(__file__).parents[3] / "examples"
WORDS = st.lists(st.sampled_from("abcde"), max_size=12)


def transcript(words, sureness=-0.2):
    return Transcript(tuple(words.split() if isinstance(words, str) else words), "en", sureness)


def never():
    raise AssertionError("asked again without need")


def test_words_that_agree_are_the_same():
    heard = transcript("turn the light on in the kitchen please")
    assert opinion(heard, heard, never) is Opinion.SAME
    assert opinion(heard, transcript("turn the light on in a kitchen please"), never) is Opinion.SAME


def test_other_words_are_doubted_where_the_input_stays_what_it_was():
    heard, said = transcript("turn the light on please"), transcript("turn it on at night")
    assert opinion(heard, said, lambda: heard) is Opinion.OTHER
    assert opinion(heard, said, lambda: transcript("turn a knight on bees")) is Opinion.NONE
    assert opinion(heard, transcript(""), lambda: heard) is Opinion.OTHER
    assert described(heard, said) == ("the light -> it", "please -> at night")


@given(WORDS, WORDS, st.floats(-3, 0))
def test_only_what_is_intelligible_is_ruled_on(heard, said, sureness):
    """Never a doubt from an unsure recogniser or of hardly a word; never one about equal words."""
    found = opinion(transcript(heard, sureness), transcript(said), lambda: transcript(heard))
    if sureness < rules.SURE or len(heard) < rules.FEWEST:
        assert found is Opinion.NONE
    else:
        assert found is not Opinion.NONE
        assert found is Opinion.SAME or heard != said
    stuck = opinion(transcript(heard, -math.inf), transcript(said), never)
    assert stuck is Opinion.NONE


@given(WORDS, WORDS)
def test_more_wrong_words_are_never_less_doubtful(heard, said):
    """A threshold that is crossed twice would let the worst through."""
    if opinion(transcript(heard), transcript(said), lambda: transcript(heard)) is Opinion.OTHER:
        worse = ["z"] * max(len(heard), len(said))
        assert opinion(transcript(heard), transcript(worse), lambda: transcript(heard)) is Opinion.OTHER


def test_a_passage_ends_in_a_pause():
    samples = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    samples[20_000:24_000] = 0
    assert 20_000 < pause(samples, RATE, 2 * RATE) < 24_000
    again = later_and_softer(samples)
    assert len(again) > len(samples) and np.abs(again).max() < np.abs(samples).max()


class Clicks:
    """Hears a word in every click, by its sign. `sureness`: what it says of itself."""

    def __init__(self, sureness=-0.1):
        self.sureness, self.languages = sureness, []

    def __call__(self, samples, language=None):
        self.languages.append(language)
        loud = np.flatnonzero(np.abs(samples) > 0.5 * np.abs(samples).max(initial=1e-9))
        firsts = loud[np.diff(loud, prepend=-RATE) > RATE // 100]
        return Transcript(tuple("up" if samples[at] > 0 else "down" for at in firsts), "xx", self.sureness)


def clicks(seconds, channels=1):
    """A click every 0.3 s, up or down by chance, on all channels."""
    samples = np.zeros((channels, int(seconds * RATE)))
    places = np.arange(RATE // 10, samples.shape[1] - RATE // 10, 3 * RATE // 10)
    samples[:, places] = 0.5 * np.random.default_rng(3).choice([-1, 1], len(places))
    return on_grid(samples)


class Negating(EchoTranslator):
    """Turns the chunks of the numbers `lies` upside down: another word in every click."""

    def __init__(self, lies):
        super().__init__()
        self.lies, self.answered = lies, 0

    def translate(self, noisy, draws=None, on_frame=None):
        (answer,) = super().translate(noisy, draws, on_frame)
        self.answered += 1
        negated = np.minimum(2 * LEVELS - answer.astype(int), 2 * LEVELS - 1).astype(np.int16)
        return [negated if self.answered - 1 in self.lies else answer]


def enhanced(samples, recogniser, lies=(), rate=RATE, **sound):
    """The samples and the end of a task in chunks of a second."""
    models = replace(fake_models(RATE // 4, 200, 1000, Negating(lies)), recogniser=recogniser)
    return run(ArraySource(samples, Signal.of_array(samples, rate)), models, 1, **sound)


def test_a_passage_of_other_words_is_named_and_stands():
    samples, recogniser = clicks(30), Clicks()
    out, end = enhanced(samples, recogniser, lies=range(9, 14), guard="off")
    guard = end.guard
    assert (guard.mode, guard.kept, guard.compared, guard.doubted) == ("off", 0, 4, 1)
    (stretch,) = guard.stretches
    assert (stretch.outcome, stretch.reasons) == ("doubted", ("other-words",))
    assert (
        stretch.start < 8.55 < 14.2 < stretch.stop
        and SHORTEST <= (stretch.stop - stretch.start) * RATE <= LONGEST
    )
    assert len(stretch.words) > 3 and stretch.describe().endswith(
        f"doubted ({', '.join(stretch.words[:3])} ...)"
    )
    assert guard.reason == "other-words"
    assert guard.warnings()[0].startswith("other words are heard in 1 of 4 passages: 0:")
    assert from_json(GuardReport, json.loads(json.dumps(to_json(guard)))) == guard
    middle = slice(int(10.6 * RATE), int(11.3 * RATE))
    np.testing.assert_array_equal(out[:, middle], -samples[:, middle])
    assert set(recogniser.languages) == {None, "xx"}


@pytest.mark.parametrize("rate", [RATE, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_honest_answers_are_not_doubted(rate, channels):
    """Input and result past the recogniser at the same place, at any rate: else every passage is doubted."""
    _, end = enhanced(clicks(14, channels), Clicks(), rate=rate, guard="normal")
    assert (end.guard.doubted, end.guard.warnings()) == (0, [])
    assert end.guard.compared >= 1 and end.guard.chunks >= 1


def test_an_unsure_recogniser_says_nothing():
    _, end = enhanced(clicks(12), Clicks(sureness=-2.0), lies=range(20), guard="off")
    assert (end.guard.compared, end.guard.doubted) == (0, 0)


def test_silence_is_not_listened_to():
    recogniser = Clicks()
    samples = clicks(12)
    samples[:, 1000:] = 0
    enhanced(samples * 0, recogniser, guard="off")
    assert recogniser.languages == []


def test_strict_fails_the_file_and_says_where():
    samples, failure = enhanced(clicks(12), Clicks(), lies=range(1, 9), guard="strict")
    assert samples is None
    assert (failure.reason, failure.exit_code, failure.trace) == ("unfaithful", 3, None)
    assert "the output has other words at 0:00.00-0:" in failure.message


def test_what_is_asked_for_is_part_of_what_is_done(tmp_path):
    """A file that was done without a second opinion is not skipped when one is asked for; one that was done
    before there was such an option still is."""

    def settings(name):
        models = ModelOptions("nano", device="cpu", second_opinion=name)
        request = Request(Form.ENHANCE, (), None, models, ChunkOptions(), SoundOptions())
        plain = replace(request, models=replace(models, second_opinion=None))
        return settings_hash_of(request, find_models(plain))

    assert settings(None) != settings("tiny.en") != settings("small")
    assert settings(None) == settings(None)


def test_without_the_package_nothing_is_begun(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if name == PACKAGE else find(name, *more)
    )
    with pytest.raises(ModelError, match=r"pip install 'dacse\[asr\]'"):
        Enhancer("nano", second_opinion="tiny.en")


def test_a_token_file_has_no_input_to_listen_to(tmp_path):
    codes = np.zeros((1, 4, 100), np.int16) + LEVELS
    path = tmp_path / "a.tokens.safetensors"
    path.write_bytes(dump(TokenFile(codes, "exact", RATE, 4, 2 * LEVELS, RATE, 400, "a.wav"), "safetensors"))
    work = Work(0, path, tmp_path / "a.wav", Form.ENHANCE, SoundOptions(), None)
    models = replace(fake_models(), recogniser=Clicks())
    with pytest.raises(InputError, match="second opinion: needs a recording"):
        open_task(work, models)


def command(source, out, model, recogniser, *options):
    run = [sys.executable, "-m", "dacse_cli", "enhance", source, out, "--model", model]
    words = [*run, "--second-opinion", recogniser, *options]
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=600)


@pytest.fixture
def sentence():
    """German, which an English recogniser knows it does not understand."""
    for package in (PACKAGE, BUNDLED):
        pytest.importorskip(package, reason=f"the real recogniser needs {package}")
    return next((EXAMPLES / "clean").rglob("keyboard.*"))


def test_the_real_recogniser_hears_that_words_are_gone(tiny_model, sentence, monkeypatch):
    """An untrained model says nothing of what was said. Two seconds of what it makes are heard, no words."""
    monkeypatch.setattr(rules, "SURE", -2.0)
    with Enhancer(str(tiny_model), device="cpu", second_opinion="tiny.en") as enhancer:
        guard = enhancer.enhance(sentence, guard="off").guard
    assert (guard.compared, guard.doubted, guard.reason) == (1, 1, "other-words")


@pytest.mark.slow
def test_the_command_says_nothing_where_nothing_is_understood(tiny_model, sentence, tmp_path):
    result = command(sentence, tmp_path / "out", tiny_model, "tiny.en", "--json", "--guard", "off")
    assert result.returncode == 0, result.stderr
    file, summary = map(json.loads, result.stdout.splitlines())
    assert (file["outcome"], file["guard"]["compared"], file["guard"]["stretches"]) == ("done", 0, [])
    assert summary["exit_code"] == 0


def test_a_recogniser_that_is_not_there_ends_the_run_at_once(tiny_model, tmp_path):
    pytest.importorskip(PACKAGE, reason="needs faster-whisper")
    with pytest.raises(ModelError, match="nowhere cannot be loaded"):
        Enhancer(str(tiny_model), device="cpu", second_opinion=str(tmp_path / "nowhere"))
