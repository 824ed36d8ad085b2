"""`--guard` as it is typed, with a model that was never trained: it says nothing of what was said."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typed import typed

from dacse_cli import Enhancer
from dacse_cli.errors import InputError

SOURCES = Path(__file__).parents[2] / "examples" / "sources"


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Two seconds of a voice at 48 kHz."""
    samples, rate = soundfile.read(sorted(SOURCES.glob("*.opus"))[2], dtype="float32")
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    soundfile.write(path, samples[rate : 3 * rate], rate)
    return path


def enhance(talk, out, model, *options):
    env = {name: value for name, value in os.environ.items() if name != "DACSE_GUARD"}
    return typed("enhance", talk, out, "--model", model, *options, env=env, timeout=600)


def test_doubted_chunks_keep_the_input_and_are_reported(talk, tiny_model, tmp_path):
    result = enhance(talk, tmp_path / "out", tiny_model, "--json")
    assert result.returncode == 0, result.stderr
    file, summary = map(json.loads, result.stdout.splitlines())
    assert (file["outcome"], file["reason"]) == ("done-warned", "passed-through")
    assert "chunks passed through unenhanced: 0:0" in file["message"]
    guard = file["guard"]
    assert guard["mode"] == "normal" and guard["passed_through"] > 0
    for name in ("kept", "repaired", "passed_through"):
        assert summary[f"chunks_{name}"] == guard[name]
    before, rate = soundfile.read(talk, dtype="float32")
    after, _ = soundfile.read(tmp_path / "out" / "talk.wav", dtype="float32")
    assert any(s["outcome"] == "passed-through" for s in guard["stretches"])
    for stretch in guard["stretches"]:
        part = slice(int((stretch["start"] + 0.02) * rate), int((stretch["stop"] - 0.02) * rate))
        if stretch["outcome"] == "passed-through":  # there and back through the codec's sample rate
            assert np.abs(after[part] - before[part]).max() < 0.02 * np.abs(before).max()
    (record,) = [
        json.loads(line)
        for line in (tmp_path / "out/.dacse/journal.jsonl").read_text().splitlines()
        if json.loads(line).get("state") == "done"
    ]
    assert record["guard"] == guard


def test_verbose_names_the_stretches(talk, tiny_model, tmp_path):
    result = enhance(talk, tmp_path / "out", tiny_model, "-v")
    assert "passed-through (" in result.stderr
    assert "passed through unenhanced" in result.stdout


def test_strict_leaves_no_output(talk, tiny_model, tmp_path):
    result = enhance(talk, tmp_path / "out", tiny_model, "--json", "--guard", "strict")
    file, summary = map(json.loads, result.stdout.splitlines())
    assert (result.returncode, file["outcome"], file["reason"]) == (3, "failed", "unfaithful")
    assert summary["failed"] == 1
    assert not list((tmp_path / "out").glob("*.wav"))


def test_another_guard_setting_redoes_the_files(talk, tiny_model, tmp_path):
    """Without it a file guarded badly would be skipped when asked for again with more care, or less.

    `normal` is what nothing means: it finds done what that has done.
    """
    ways = ("off", "done"), (None, "done-warned"), ("normal", "skipped"), ("off", "done")
    for mode, outcome in ways:
        options = ["--guard", mode] if mode else []
        result = enhance(talk, tmp_path / "out", tiny_model, "--json", *options)
        assert json.loads(result.stdout.splitlines()[0])["outcome"] == outcome


def test_the_library_reports_and_strict_raises(talk, tiny_model):
    with Enhancer(str(tiny_model), device="cpu") as enhancer:
        assert enhancer.enhance(talk).guard.passed_through > 0
        assert enhancer.enhance(talk, guard="off").guard is None
        with pytest.raises(InputError, match="does not match the input") as caught:
            enhancer.enhance(talk, guard="strict")
        assert caught.value.reason == "unfaithful"
