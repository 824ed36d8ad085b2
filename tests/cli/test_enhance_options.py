"""What `dacse enhance` makes of its words: inputs and output, strength and presets."""

import pytest

from dacse_cli.cli.options.sound import Sound
from dacse_cli.cli.outputs import split
from dacse_cli.config import PRESETS, strength_of
from dacse_cli.errors import UsageError


@pytest.fixture
def talk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("talk.WAV", "film.mp4", "r.tokens.safetensors", "in/a.wav"):
        (tmp_path / name).touch()


@pytest.mark.parametrize(
    ("paths", "output", "form", "expected"),
    [
        (["talk.WAV"], None, "keep", "talk.enhanced.WAV"),
        (["in/a.wav"], None, "flac", "in/a.enhanced.flac"),
        (["r.tokens.safetensors"], None, "keep", "r.enhanced.safetensors"),
        (["talk.WAV", "out"], None, "keep", "out"),
        (["talk.WAV", "in", "out"], None, "keep", "out"),
        (["talk.WAV", "in"], "out", "keep", "out"),
        (["talk.WAV"], "{stem}_clean.{ext}", "flac", "talk_clean.flac"),
        (["talk.WAV"], "x/{stem}.{ext}", "keep", "x/talk.WAV"),
        (["-"], None, "keep", "-"),
        (["-", "clean.wav"], None, "keep", "clean.wav"),
    ],
)
def test_where_the_output_goes(talk, paths, output, form, expected):
    inputs, found = split(paths, output, form)
    assert found == expected
    assert inputs == (paths if output or len(paths) == 1 else paths[:-1])


@pytest.mark.parametrize(
    ("paths", "output", "words"),
    [
        (["in"], None, "in is a folder: say where"),
        (["gone.wav"], None, "gone.wav: no such file$"),
        (["takes/*.wav"], None, "say where the enhanced files go"),
        (["s3://bucket/in"], None, "say where the enhanced files go"),
        (["talk.WAV", "in"], "{stem}.{ext}", "names the output of one file"),
        (["talk.WAV"], "{name}.wav", "a pattern knows"),
        (["talk.WAV"], "{stem.wav", "a pattern knows"),
    ],
)
def test_an_output_that_cannot_be_guessed_is_asked_for(talk, paths, output, words):
    with pytest.raises(UsageError, match=words):
        split(paths, output, "keep")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gentle", ("gentle", 1.0)),
        ("strong", ("strong", 1.0)),
        ("0.25", ("normal", 0.25)),
    ],
)
def test_strength_is_a_name_or_a_share(text, expected):
    assert strength_of(text) == expected


@pytest.mark.parametrize("text", ["loud", "1.01", "-0.1", "nan", "inf", ""])
def test_other_strengths_are_refused(text):
    with pytest.raises(UsageError, match="strength"):
        strength_of(text)


def test_a_preset_gives_way_to_what_is_typed():
    said = []
    sound = Sound(preset="podcast").options(said.append)
    assert (sound.profile, sound.loudness, sound.limiter, sound.format) == ("strong", -16.0, True, "keep")
    sound = Sound(preset="archive", strength="0.5", loudness="match", audio_format="wav").options(said.append)
    assert (sound.profile, sound.mix, sound.loudness, sound.format) == ("normal", 0.5, "match", "wav")
    assert said == []


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_one_that_can_be_made(name):
    assert Sound(preset=name).options(pytest.fail).check()


def test_options_with_another_name_now_still_work_and_say_so():
    said = []
    sound = Sound(mix=0.5, profile="strong").options(said.append)
    assert (sound.mix, sound.profile) == (0.5, "strong") and "--strength" in said[0]
    with pytest.raises(UsageError, match="alone"):
        Sound(mix=0.5, strength="gentle").options(said.append)
