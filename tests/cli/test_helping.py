"""Help and usage errors: short, whole, in one style, and without colour where there is no terminal."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from dacse_cli.cli import app as entry
from dacse_cli.cli.helping import ALL
from dacse_cli.errors import UsageError

ROOT = typer.main.get_command(entry.app)
COMMANDS = [
    *ROOT.commands,
    *(f"train {name}" for name in ROOT.commands["train"].commands),
]


def help_of(words, option, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(entry.app, [*words.split(), option], prog_name="dacse")
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("words", ["", *COMMANDS])
def test_a_short_help_fits_a_screen(words, monkeypatch):
    text = help_of(words, "--help", monkeypatch)
    lines = text.splitlines()
    assert len(lines) <= (28 if not words else 24), text
    assert max(map(len, lines)) <= 80, text
    assert f"{ALL}" in lines[-1]


@pytest.mark.parametrize("words", ["", *COMMANDS])
def test_no_row_of_a_short_help_is_cut(words, monkeypatch):
    assert " ...\n" not in help_of(words, "--help", monkeypatch)


@pytest.mark.parametrize("words", COMMANDS)
def test_the_whole_help_has_every_option(words, monkeypatch):
    text = help_of(words, ALL, monkeypatch)
    command = ROOT
    for word in words.split():
        command = command.commands[word]
    for parameter in command.params:
        left_out = parameter.param_type_name == "argument" or parameter.hidden
        assert any(name in text for name in parameter.opts) or left_out
    assert max(map(len, text.splitlines())) <= 80, text
    assert "[/" not in text and "[bold]" not in text and "[cyan]" not in text


def test_square_brackets_are_kept(monkeypatch):
    assert "[tool.dacse] of a pyproject.toml" in " ".join(help_of("", ALL, monkeypatch).split())
    assert "dacse[evaluate]" in help_of("evaluate", ALL, monkeypatch)


def test_names_of_models_are_not_broken_at_a_hyphen(monkeypatch):
    for words in ("enhance", "tokenize", "download", "try"):
        assert "disco-eth/DAC-SE1" in help_of(words, ALL, monkeypatch), words
    assert "--loudness" in help_of("enhance", "--help", monkeypatch)


@pytest.mark.parametrize(
    ("hint", "sentence"),
    [
        ("check the network", "Check the network."),
        ("log in with `hf auth login` (or set HF_TOKEN)", "Log in with `hf auth login` (or set HF_TOKEN)."),
        ("--model nano needs no network", "--model nano needs no network."),
        ("Did you mean nano?", "Did you mean nano?"),
        ("train=90,valid=5", "train=90,valid=5."),
        # what is copied from a hint stays as it is
        ("dacse enhance in OUTPUT", "dacse enhance in OUTPUT"),
        ("Install the extra: pip install 'dacse[ray]'", "Install the extra: pip install 'dacse[ray]'"),
        ("look at https://hub.example/a/b", "Look at https://hub.example/a/b"),
    ],
)
def test_hints_are_sentences(hint, sentence):
    assert UsageError("x", hint=hint).hint == sentence


def test_defaults_and_pairs_of_flags_are_whole_in_the_short_help(monkeypatch):
    assert "Port [8377, or any free one]\n" in help_of("serve", "--help", monkeypatch)
    assert "--[no-]checkpointing  Recompute" in help_of("train plan", "--help", monkeypatch)


def test_no_colour_in_ci():
    """GITHUB_ACTIONS made Typer colour everything, whatever NO_COLOR said."""
    environment = {**os.environ, "GITHUB_ACTIONS": "true", "NO_COLOR": "1"}
    for words in (["enhance", "--help"], ["enhance", "--nothing"]):
        command = [sys.executable, "-m", "dacse_cli", *words]
        result = subprocess.run(command, env=environment, capture_output=True, timeout=60)
        assert b"\x1b" not in result.stdout + result.stderr
        assert result.returncode in (0, 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["enhance"], "enhance needs INPUT... [OUTPUT]"),
        (["evaluate"], "evaluate needs [CLEAN] ENHANCED..."),
        (["enhanse", "a", "b"], "Did you mean 'enhance'"),
        (["enhance", "a", "b", "--profile", "Gentle"], "'Gentle' is not one of"),
        (["enhance", "a", "b", "--limit", "x"], "'--limit': not a whole number"),
        (["enhance", "-x.wav", "out"], "write ./-x.wav"),
    ],
)
def test_usage_errors_say_what_is_missing(words, message, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-x.wav").touch()
    monkeypatch.setattr(sys, "argv", ["dacse", *words])
    with pytest.raises(SystemExit) as end:
        entry.main()
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("dacse: ")
    assert message in said
    assert "Value error" not in said


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        ("enhance a.wav b.wav -m nnao", 5, "nano"),
        ("enhance a.wav b.wav -m deepfilternet", 5, "deepfilternet3"),
        ("enhance a.wav b.wav -m DACSE1", 5, "disco-eth/DAC-SE1"),
        ("enhance a.wav b.wav -m disco-eth/DACSE1", 5, "disco-eth/DAC-SE1"),
        ("download KdaiP/DC-SpeechVAE", 5, "KdaiP/DC-Speech-VAE"),
        ("tokenize a.wav --codec nnao", 5, "nano"),
        ("train lm . run --codec nnao", 5, "nano"),
        ("enhance a.wav b.wav --device cudaa", 8, "cuda"),
        ("enhance a.wav b.wav --preset podcst", 2, "podcast"),
        ("enhance a.wav b.wav --strength gentel", 2, "gentle"),
        ("enhance a.wav b.wav --method maks", 2, "mask"),
        ("enhance a.wav b.wav --rate kep", 2, "keep"),
        ("mix . out --recipe custm", 2, "custom"),
        ("train plan 250n", 2, "250M"),
        ("train mask . run --set stage.stepz=3", 2, "steps"),
        ("evaluate . . --metrics pesqq", 2, "pesq"),
    ],
)
def test_a_misspelt_value_gets_a_guess(words, code, hint, monkeypatch, tmp_path, capsys):
    """Without any network: `-m nnao` was told what names look like."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", np.zeros(16000), 16000)
    monkeypatch.setattr(sys, "argv", ["dacse", *words.split()])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == code
    assert capsys.readouterr().err.endswith(f"\n  Did you mean {hint}?\n")


def test_dacse_alone_shows_its_help(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["dacse"])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 2
    assert "Usage: dacse" in capsys.readouterr().err
