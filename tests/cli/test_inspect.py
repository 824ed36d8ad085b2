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


def test_a_table_has_units_and_readable_numbers(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.full((200 * 8000, 1), 0.5), 8000)
    lines = CliRunner().invoke(app, ["inspect", str(tmp_path / "long.wav")]).stdout.splitlines()
    assert lines[0].endswith("long.wav") and not any(line.endswith(" ") for line in lines)
    table = dict(line.split("  ", 1) for line in lines[1:])
    rows = {name: value.strip() for name, value in table.items()}
    assert rows["sample rate"] == "8,000 Hz" and rows["samples"] == "1,600,000"
    assert (rows["length"], rows["peak"]) == ("3:20", "-6.02 dBFS")
    assert rows["format"] == "WAV PCM 16" and rows["size"].endswith(" bytes")


def test_a_folder_is_refused_with_an_example(tmp_path):
    result = CliRunner().invoke(app, ["inspect", str(tmp_path)])
    assert "is a folder" in str(result.exception) and "*.wav" in result.exception.hint
