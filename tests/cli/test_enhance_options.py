"""What `dacse enhance` makes of its words: inputs and output, strength and presets."""

from pathlib import Path

import pytest

from dacse_cli.cli.batch.outputs import split
from dacse_cli.cli.options.run import Batch
from dacse_cli.cli.options.sound import Sound
from dacse_cli.config import PRESETS, ModelOptions, SoundOptions, strength_of
from dacse_cli.errors import UsageError
from dacse_cli.pipeline.request.plan import plan


@pytest.fixture
def talk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "deep/sub").mkdir(parents=True)
    audio = ("talk.WAV", "film.mp4", "in/a.wav", "deep/{ext}.wav", "deep/sub/b.wav", "deep/sub/a.flac")
    for name in (*audio, "r.tokens.safetensors"):
        (tmp_path / name).touch()


@pytest.mark.parametrize(
    ("paths", "output", "expected"),
    [
        (["talk.WAV"], None, "{stem}.enhanced.{ext}"),
        (["in/a.wav"], None, "in/{stem}.enhanced.{ext}"),
        (["talk.WAV", "out"], None, "out"),
        (["talk.WAV", "in", "out"], None, "out"),
        (["talk.WAV", "in"], "out", "out"),
        (["talk.WAV", "in"], "{stem}.{ext}", "{stem}.{ext}"),
        (["-"], None, "-"),
        (["-", "clean.wav"], None, "clean.wav"),
    ],
)
def test_default_and_named_outputs(talk, paths, output, expected):
    inputs, found = split(paths, output)
    assert found == expected
    assert inputs == (paths if output or len(paths) == 1 else paths[:-1])


@pytest.mark.parametrize(
    ("paths", "output", "words"),
    [
        (["in"], None, "in is a folder: name a folder"),
        (["gone.wav"], None, "gone.wav: no such file$"),
        (["takes/*.wav"], None, "name a folder for the enhanced files"),
        (["s3://bucket/in"], None, "name a folder for the enhanced files"),
    ],
)
def test_an_output_without_a_default_must_be_named(talk, paths, output, words):
    with pytest.raises(UsageError, match=words):
        split(paths, output)


def planned(form, paths, output, audio_format="keep", **how):
    """Inputs and outputs of a command, and how many files it passes over."""
    options = SoundOptions(format=audio_format)
    batch = Batch(overwrite=how.pop("overwrite", False))
    todo = plan(batch.request(form, paths, output, ModelOptions(), sound=options, **how))
    return [(job.reads, job.writes) for wave in todo.waves for job in wave], todo.ignored


@pytest.mark.parametrize(
    ("form", "paths", "output", "audio_format", "expected"),
    [
        ("enhance", ["talk.WAV"], "{stem}.enhanced.{ext}", "keep", ["talk.enhanced.WAV"]),
        ("enhance", ["in/a.wav"], "in/{stem}.enhanced.{ext}", "flac", ["in/a.enhanced.flac"]),
        ("enhance", ["r.tokens.safetensors"], "{stem}.enhanced.{ext}", "keep", ["r.enhanced.safetensors"]),
        ("enhance", ["talk.WAV"], "x/{stem}.{ext}", "keep", ["x/talk.WAV"]),
        ("enhance", ["talk.WAV", "in"], "x/{stem}_1.{ext}", "keep", ["x/talk_1.WAV", "x/a_1.wav"]),
        ("enhance", ["talk.WAV", "in"], "{stem}_clean.flac", "keep", ["talk_clean.flac", "a_clean.flac"]),
        ("enhance", ["deep/sub"], "x/{stem}_1.{ext}", "flac", ["x/a_1.flac", "x/b_1.flac"]),
        ("enhance", ["deep/**/*.wav"], "x/new-{stem}.{ext}", "keep", ["x/new-{ext}.wav", "x/sub/new-b.wav"]),
        ("tokenize", ["deep/sub"], "x/{stem}.{ext}", "keep", ["x/a.tokens.npz", "x/b.tokens.npz"]),
        ("detokenize", ["r.tokens.safetensors"], "x/{stem}-1.{ext}", "keep", ["x/r-1.wav"]),
    ],
)
def test_a_pattern_names_the_outputs(talk, form, paths, output, audio_format, expected):
    """Of one file, of several, of folders, mirrored; what a file is called is no pattern."""
    how = {"codes_format": "npz"} if form == "tokenize" else {}
    jobs, _ = planned(form, paths, output, audio_format, **how)
    assert [target for _, target in jobs] == expected


@pytest.mark.parametrize(
    ("paths", "output", "audio_format", "words"),
    [
        (["talk.WAV"], "{name}.wav", "keep", "a pattern may have"),
        (["talk.WAV", "in"], "{stem.wav", "keep", "a pattern may have"),
        (["in", "deep/sub"], "x/{stem}.wav", "keep", "in/a.wav and .*a.flac would both write x/a.wav"),
        (["talk.WAV", "in"], "x/clean.{ext}", "flac", "would both write x/clean.flac"),
        (["talk.WAV", "in"], "x/{stem}.txt", "keep", "gives talk.txt, which cannot be written"),
        (["talk.WAV", "in"], "x/{stem}.wav", "flac", "contradict each other"),
        (["talk.WAV", "in"], "{stem}.{ext}", "keep", "itself an input"),
    ],
)
def test_a_pattern_that_would_overwrite_a_file_is_refused(talk, paths, output, audio_format, words):
    with pytest.raises(UsageError, match=words):
        planned("enhance", paths, output, audio_format)


def test_outputs_beside_inputs_are_not_inputs_of_the_next_run(talk):
    first, _ = planned("enhance", ["."], "{stem}_clean.{ext}", "wav")
    for _, target in first:
        Path(target).touch()
    assert planned("enhance", ["."], "{stem}_clean.{ext}", "wav")[0] == first
    with pytest.raises(UsageError, match="itself an input"):
        planned("enhance", ["."], "{stem}_clean.{ext}", "wav", overwrite=True)


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


def test_a_positive_loudness_gets_a_guess():
    with pytest.raises(UsageError, match="above 0 LUFS") as caught:
        Sound(loudness="16").options(pytest.fail)
    assert "did you mean -16?" in caught.value.hint
    with pytest.raises(UsageError, match="`strength` 3 is neither"):
        Sound(strength="3").options(pytest.fail)


def test_typed_options_override_a_preset():
    said = []
    sound = Sound(preset="podcast").options(said.append)
    assert (sound.profile, sound.loudness, sound.limiter, sound.format) == ("strong", -16.0, True, "keep")
    sound = Sound(preset="archive", strength="0.5", loudness="match", audio_format="wav").options(said.append)
    assert (sound.profile, sound.mix, sound.loudness, sound.format) == ("normal", 0.5, "match", "wav")
    assert said == []


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid(name):
    assert Sound(preset=name).options(pytest.fail).check()


def test_deprecated_options_work_with_a_warning():
    said = []
    sound = Sound(mix=0.5, profile="strong").options(said.append)
    assert (sound.mix, sound.profile) == (0.5, "strong") and "`strength`" in said[0]
    with pytest.raises(UsageError, match="do not combine"):
        Sound(mix=0.5, strength="gentle").options(said.append)
