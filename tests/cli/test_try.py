"""`dacse try`: which seconds are taken, and what lies in its folder."""

import json

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from dacse_cli.api.trial import noisiest_start
from dacse_cli.cli.app import app
from dacse_cli.cli.batch import reporting
from dacse_cli.errors import InputError, UsageError

RATE = 16_000


def energy(*parts):
    """Steps of a recording: (seconds, noise, speech), speech in every second step."""
    return np.concatenate(
        [np.where(np.arange(round(10 * s)) % 2, noise, noise + speech) for s, noise, speech in parts]
    )


@pytest.mark.parametrize(
    ("parts", "start"),
    [
        ([(20, 1.0, 50.0), (10, 4.0, 50.0), (20, 1.0, 50.0)], 20),
        ([(20, 1.0, 50.0), (20, 30.0, 0.0), (10, 4.0, 50.0)], 40),  # noise alone is nothing to try on
        ([(20, 1.0, 0.0), (20, 3.0, 0.0)], 20),  # unless there is nothing else
        ([(5, 1.0, 9.0)], 0),
    ],
)
def test_try_chooses_the_noisiest_seconds_with_speech(parts, start):
    assert noisiest_start(energy(*parts), 10) == pytest.approx(start, abs=5.1)


def test_three_strengths_and_a_report(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "scorer", lambda: None)
    noise = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    soundfile.write(tmp_path / "talk.wav", noise, RATE)
    words = ["try", str(tmp_path / "talk.wav"), "--seconds", "1", "--no-open", "--device", "cpu"]
    result = CliRunner().invoke(app, [*words, "--model", str(tiny_model)], catch_exceptions=False)
    folder = tmp_path / "talk.try"
    words = " ".join(result.output.split())
    assert "0:00 to 0:01 of" in words and "original.wav, gentle.wav, normal.wav, strong.wav in" in words
    assert result.exit_code == 0 and str(folder / "index.html") in result.output.replace("\n", "")
    assert {path.name for path in folder.iterdir()} == {
        *("original.wav", "gentle.wav", "normal.wav", "strong.wav", "index.html", "report.jsonl")
    }
    original, gentle, normal = (
        soundfile.read(folder / f"{name}.wav")[0] for name in ("original", "gentle", "normal")
    )
    np.testing.assert_allclose(gentle, 0.75 * normal + 0.25 * original, atol=1e-4)
    about, *files = map(json.loads, (folder / "report.jsonl").read_text().splitlines())
    assert len(files) == 3 and about["settings"]["recording"].endswith("talk.wav")


def test_a_joined_recording_is_tried_over_its_joints(tmp_path, monkeypatch):
    """`--seconds 8` of three recordings of 3 s in one file tried 3 s and said nothing."""
    monkeypatch.setattr(reporting, "scorer", lambda: None)
    for seed in range(3):
        noise = 0.1 * np.random.default_rng(seed).standard_normal(3 * RATE)
        soundfile.write(tmp_path / "part.wav", noise, RATE)
        with open(tmp_path / "joined.wav", "ab") as file:
            file.write((tmp_path / "part.wav").read_bytes())
    words = ["try", str(tmp_path / "joined.wav"), "--seconds", "8", "--no-open", "--model", "nano"]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    files = sorted((tmp_path / "joined.try").glob("*.wav"))
    assert [soundfile.info(file).frames for file in files] == [8 * RATE] * 4


@pytest.mark.parametrize("name", ["original.wav", "strong.wav"])
@pytest.mark.parametrize(
    "way", ["plain", "source is a link", "target is a link", "hard link", "folder is a link"]
)
def test_try_does_not_write_over_its_input(tmp_path, name, way):
    """`dacse try talk.try/original.wav -o talk.try` returned 0, and the input was 2 s long from then on."""
    folder = out = tmp_path / "talk.try"
    folder.mkdir()
    (folder / "report.jsonl").touch()
    source, target = tmp_path / "talk.wav", folder / name
    soundfile.write(source if way in ("target is a link", "hard link") else target, np.zeros(RATE), RATE)
    if way == "plain":
        source = target
    elif way == "source is a link":
        source.symlink_to(target)
    elif way == "target is a link":
        target.symlink_to(source)
    elif way == "hard link":
        target.hardlink_to(source)
    else:
        source, out = target, tmp_path / "link"
        out.symlink_to(folder)
    with pytest.raises(UsageError, match=r"is the input; inputs are never written to") as caught:
        CliRunner().invoke(app, ["try", str(source), "-o", str(out), "--no-open"], catch_exceptions=False)
    assert caught.value.exit_code == 2 and f"{out / name}" in caught.value.message
    assert soundfile.info(source).frames == RATE


def test_try_refuses_missing_files_and_foreign_folders(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        CliRunner().invoke(app, ["try", str(tmp_path / "gone.wav")], catch_exceptions=False)
    (tmp_path / "talk.wav").touch()
    (tmp_path / "talk.try").mkdir()
    with pytest.raises(UsageError, match="contains no report"):
        CliRunner().invoke(app, ["try", str(tmp_path / "talk.wav")], catch_exceptions=False)
