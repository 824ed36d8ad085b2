"""`inspect` tells the truth about a file, whatever its header says."""

import json

import numpy as np
import soundfile
from typer.testing import CliRunner

from dacse_cli.cli.app import app
from dacse_cli.tokens.files import TokenFile
from dacse_cli.tokens.formats import dump


def facts(*paths):
    result = CliRunner().invoke(app, ["inspect", *map(str, paths), "--json"])
    return result, [json.loads(line) for line in result.stdout.splitlines()]


def test_facts_of_a_recording(tmp_path):
    samples = np.zeros((800, 3))
    samples[:, 1] = samples[:, 2] = 0.5
    soundfile.write(tmp_path / "a.flac", samples, 8000)
    result, (found,) = facts(tmp_path / "a.flac")
    assert result.exit_code == 0
    assert (found["channels"], found["distinct_channels"], found["silent_channels"]) == (3, 2, 1)
    assert (found["samples"], found["seconds"], found["peak_dbfs"]) == (800, 0.1, -6.02)


def test_facts_of_a_token_file(tmp_path):
    codes = np.ones((2, 9, 40), np.int16)
    tokens = TokenFile(codes, "descript/dac_44khz", 44100, 512, 1024, 48000, 22280, "speech.wav")
    (tmp_path / "x.npz").write_bytes(dump(tokens, "npz"))
    _, (found,) = facts(tmp_path / "x.npz")
    assert (found["codec"], found["codebooks"], found["frames"]) == ("descript/dac_44khz", 9, 40)


def test_a_bad_file_is_named_and_the_others_are_shown(tmp_path):
    (tmp_path / "text.wav").write_text("no audio")
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 8000)
    result, shown = facts(tmp_path / "text.wav", tmp_path / "a.wav")
    assert result.exit_code != 0
    assert "text.wav" in str(result.exception)
    assert len(shown) == 1
