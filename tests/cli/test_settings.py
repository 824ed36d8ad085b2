"""Options from a file and from the environment: what wins, and what is refused."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
import soundfile
from typed import typed

from dacse_cli.cli.settings import collect, describe, fitted, nested
from dacse_cli.errors import UsageError

OPTIONS = {
    "enhance": {"model": "model", "batch-size": "batch_size", "format": "audio_format", "mix": "mix"},
    "tokenize": {"model": "model", "format": "codes_format"},
    "train lm": {"steps": "steps"},
}


def test_file_tables_and_variables_reach_the_commands_that_have_the_option(tmp_path):
    (tmp_path / "dacse.toml").write_text('model = "nano"\nbatch_size = 8\n[enhance]\nformat = "flac"\n')
    found = collect(OPTIONS, tmp_path, {"DACSE_BATCH_SIZE": "4", "DACSE_CACHE": "/x", "OTHER": "1"})
    assert found == {
        "enhance": {"model": "nano", "batch_size": "4", "audio_format": "flac"},
        "tokenize": {"model": "nano"},
        "train lm": {},
    }


def test_a_command_below_a_command_has_a_table_below_a_table(tmp_path):
    (tmp_path / "dacse.toml").write_text("[train.lm]\nsteps = 7\n")
    found = collect(OPTIONS, tmp_path, {})
    assert nested(found)["train"]["lm"] == {"steps": 7}
    assert nested(found)["enhance"] == {}


def test_a_value_reaches_the_commands_that_can_take_it(tmp_path):
    """`DACSE_FORMAT=flac` broke `tokenize`, and `DACSE_FILTER` said "Value must be an iterable"."""
    names = {
        "enhance": {"format": "audio_format", "filter": "filters"},
        "tokenize": {"format": "codes_format"},
    }
    plain = SimpleNamespace(multiple=False, type=SimpleNamespace(choices=("flac", "wav")))
    codes = SimpleNamespace(multiple=False, type_descriptor=SimpleNamespace(annotation=Literal["npz"]))
    several = SimpleNamespace(multiple=True, type=object())
    parameters = {"enhance": {"audio_format": plain, "filters": several}, "tokenize": {"codes_format": codes}}
    values = collect(names, tmp_path, {"DACSE_FORMAT": "flac", "DACSE_FILTER": "*.wav"})
    assert fitted(values, names, parameters) == {
        "enhance": {"audio_format": "flac", "filters": ["*.wav"]},
        "tokenize": {},
    }
    wrong = collect(names, tmp_path, {"DACSE_FORMAT": "gif"})
    assert fitted(wrong, names, parameters) == wrong  # no command takes it: each says so


def test_describe_names_the_sources_of_settings(tmp_path):
    assert describe(tmp_path, {"PATH": "/"}) == "no settings file or variables"
    (tmp_path / "dacse.toml").write_text('model = "nano"\n[enhance]\nmix = 1\n')
    told = describe(tmp_path, {"DACSE_DEVICE": "cpu"})
    assert told == "dacse.toml: model, enhance mix; DACSE_DEVICE"


def test_pyproject_is_read_without_a_dacse_toml(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.dacse]\nmodel = "there"\n[tool.other]\nx = 1\n')
    assert collect(OPTIONS, tmp_path, {})["tokenize"] == {"model": "there"}
    (tmp_path / "dacse.toml").write_text('model = "here"\n')
    assert collect(OPTIONS, tmp_path, {})["tokenize"] == {"model": "here"}
    (tmp_path / "dacse.toml").unlink()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert collect(OPTIONS, tmp_path, {}) == {name: {} for name in OPTIONS}


@pytest.mark.parametrize(
    ("text", "environment", "says"),
    [
        ("modle = 'nano'", {}, "modle in dacse.toml is not an option of any command; Did you mean model?"),
        (
            "[enhanse]\nmix = 1",
            {},
            "[enhanse] in dacse.toml is not an option of any command; Did you mean enhance?",
        ),
        ("[tokenize]\nmix = 1", {}, "mix in [tokenize] of dacse.toml"),
        ("", {"DACSE_MODLE": "x"}, "the variable DACSE_MODLE"),
        ("model =", {}, "is not valid TOML"),
        ("model = " + "[" * 10_000, {}, "nests deeper"),
        ("batch-size = 1" + "0" * 400, {}, "digits"),
        ("overwrite = true", {}, "works only on the command line"),
        ("[enhance]\noverwrite = true", {}, "works only on the command line"),
        ('report = "../victim"', {}, "is outside this folder"),
        ('output = "/etc"', {}, "is outside this folder"),
    ],
)
def test_unknown_settings_are_refused(tmp_path, text, environment, says):
    (tmp_path / "dacse.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        collect(OPTIONS, tmp_path, environment)
    assert says in f"{caught.value.message}; {caught.value.hint}"


def test_command_line_before_variable_before_file(tmp_path, tiny_model):
    """The real command; --rate is what the three disagree on."""
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(800), 8000)
    (tmp_path / "dacse.toml").write_text(f'model = "{tiny_model}"\nrate = "11025"\n')

    def rate_of(name, *words, **variables):
        typed("enhance", "a.wav", name, *words, cwd=tmp_path, env={**os.environ, **variables}, check=True)
        return soundfile.info(tmp_path / name).samplerate

    assert rate_of("file.wav") == 11_025
    assert rate_of("variable.wav", DACSE_RATE="16000") == 16_000
    assert rate_of("typed.wav", "--rate", "22050", DACSE_RATE="16000") == 22_050


def test_completion_knows_the_commands():
    """What a shell asks when Tab is pressed."""
    environment = {
        **os.environ,
        "_DACSE_COMPLETE": "complete_bash",
        "COMP_WORDS": "dacse enh",
        "COMP_CWORD": "1",
    }
    code = "import sys; sys.argv = ['dacse']; from dacse_cli.cli.app import main; main()"
    asked = [sys.executable, "-c", code]
    result = subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=60)
    assert result.stdout.split() == ["enhance"]


def test_a_file_in_a_parent_folder_is_named_as_not_read(tmp_path):
    (tmp_path / "dacse.toml").write_text("mix = 0.5")
    below = tmp_path / "below"
    below.mkdir()
    assert "is not read" in describe(below, {})
    assert describe(tmp_path, {}) == "dacse.toml: mix"
