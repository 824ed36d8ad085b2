"""The whole room over real files: pairs, failures, missing packages, processes."""

import importlib
import json
import shutil

import numpy as np
import pytest
import soundfile as sf

from dacse_cli.errors import NoInputError, UsageError
from dacse_cli.evaluation.metric import ScoringOptions
from dacse_cli.evaluation.run import evaluate
from dacse_cli.evaluation.tables import to_csv, to_json, to_markdown

FAST = ["si_sdr", "lsd"]


def test_the_examples_are_scored_as_they_were_mixed(examples):
    """Rates, channels and formats all differ; the SI-SDR must still come out as the SNR of the recipe.

    Catches a wrong pair, a lost sample of alignment (which costs 10 dB and more), a wrong rate.
    """
    report = evaluate(examples / "clean", [], examples / "noisy", metrics=FAST)
    measured = {file.key: file.scores["si_sdr"].value for file in report.files}
    expected = {"fan": 5, "rain": 8, "telephone": 12, "office/babble": 6}
    assert {key: measured[key] for key in expected} == pytest.approx(expected, abs=0.5)
    assert measured["office/keyboard"] > 3  # stereo noise partly cancels when channels are averaged
    assert measured["home/kitchen"] < 3  # its room counts as noise
    assert report.failures == ()
    assert report.remarks == []


def test_clean_against_itself_is_perfect_and_better_than_noisy(examples):
    """Two systems, means and gains: the sign of a gain is ours minus noisy."""
    report = evaluate(examples / "clean", [examples / "clean"], examples / "noisy", metrics=FAST)
    assert report.systems == ("noisy", "clean")
    assert report.means("clean")["lsd"].mean == 0
    assert report.gains("clean", "noisy")["si_sdr"].low > 80
    assert report.gains("clean", "noisy")["lsd"].high < 0


def test_a_bad_file_costs_only_itself(tmp_path, examples):
    """Damaged, empty and NaN outputs are named; the other recordings keep their scores."""
    clean, ours = tmp_path / "clean", tmp_path / "ours"
    shutil.copytree(examples / "clean", clean)
    shutil.copytree(examples / "clean", ours)
    (ours / "fan.flac").write_bytes(b"no audio")
    sf.write(ours / "rain.wav", np.full(16_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    (ours / "rain.flac").unlink()
    (clean / "telephone.flac").write_bytes(b"")
    seen = []
    report = evaluate(clean, [ours], metrics=FAST, on_file=seen.append)
    assert sorted(file.key for file in report.failures) == ["fan", "rain", "telephone"]
    assert "not numbers" in next(file.failure for file in report.failures if file.key == "rain")
    assert next(file.failure for file in report.failures if file.key == "telephone").startswith(
        "clean recording"
    )
    assert report.means("ours")["lsd"].files == 3
    assert len(seen) == len(report.files) == 6
    assert "Not scored" in to_markdown(report)


def test_another_length_is_scored_and_said(tmp_path, examples):
    """A system that swallows the end must not shift what is compared, and the reader must hear of it."""
    samples, rate = sf.read(examples / "clean" / "rain.flac")
    sf.write(tmp_path / "rain.wav", samples[: 3 * rate], rate)
    report = evaluate(examples / "clean" / "rain.flac", [tmp_path / "rain.wav"], metrics=FAST)
    (file,) = report.files
    assert "3.00 s long" in file.remarks[0]
    assert 0 < file.scores["si_sdr"].value < 40


def test_missing_packages_are_named_and_nothing_is_put_in_their_place(monkeypatch, examples):
    """The report must say which number is not there and how to get it."""
    real_import, real_find = importlib.import_module, importlib.util.find_spec

    def no_stoi(name, package=None):
        if name in ("pystoi", "resemblyzer"):
            raise ImportError(f"No module named {name!r}")
        return real_import(name, package)

    monkeypatch.setattr(importlib, "import_module", no_stoi)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "pystoi" else real_find("json")
    )
    names = ["stoi", "si_sdr", "speaker", "speech_bert_score"]
    report = evaluate(examples / "clean", [], examples / "noisy", metrics=names)
    assert [metric.name for metric in report.metrics] == ["si_sdr"]
    assert report.missing["stoi"] == "package pystoi is not installed: pip install 'dacse[evaluate]'"
    assert "cannot be imported" in report.missing["speaker"]
    assert "wavlm-large" in report.missing["speech_bert_score"]
    assert "Not computed: stoi" in to_markdown(report)
    assert "stoi" not in json.loads(to_json(report))["files"][0]["scores"]
    with pytest.raises(UsageError, match="none of the metrics"):
        evaluate(examples / "clean", [], examples / "noisy", metrics=["stoi"])


def test_without_clean_only_what_needs_none(examples):
    """Reference-free mode; a metric that was asked for and needs the reference is named."""
    pytest.importorskip("speechmos", reason="plcmos needs speechmos: pip install 'dacse[evaluate]'")
    file = examples / "noisy" / "telephone.wav"
    report = evaluate(None, [file], metrics=["plcmos", "pesq"])
    assert [column.name for column in report.columns] == ["plcmos"]
    assert report.missing == {"pesq": "needs the clean recordings"}
    assert 1 < report.means("telephone")["plcmos"].mean < 5


def test_processes_change_nothing(examples):
    """Scores and their order must be those of one process, and models load in each."""
    alone = evaluate(examples / "clean", [examples / "clean"], examples / "noisy", metrics=FAST)
    together = evaluate(examples / "clean", [examples / "clean"], examples / "noisy", metrics=FAST, jobs=2)
    assert to_csv(together) == to_csv(alone)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"metrics": ["loudness"]}, UsageError),
        ({"jobs": 0}, UsageError),
        ({"options": ScoringOptions(resamples=0)}, UsageError),
        ({"options": ScoringOptions(seed=-1)}, UsageError),
        ({"noisy": None}, UsageError),
    ],
)
def test_wrong_use_is_found_before_anything_is_scored(examples, arguments, error):
    """Each of these would end in a traceback after minutes."""
    call = {"clean": examples / "clean", "enhanced": [], "noisy": examples / "noisy", **arguments}
    with pytest.raises(error):
        evaluate(**call)


def test_a_path_that_is_not_there(examples, tmp_path):
    """Exit code 4, not an empty table."""
    with pytest.raises(NoInputError, match="gone"):
        evaluate(tmp_path / "gone", [], examples / "noisy", metrics=FAST)
