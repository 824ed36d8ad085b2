"""Several processes of one training, on CPUs by gloo: `pytest -m slow`."""

import json
import os
import subprocess
import sys

import pytest
from training_runs import CODEC_RECIPE, WARM_CODEC, curve, run_dacse, write_pairs

pytestmark = pytest.mark.slow
LAUNCH = ["torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
SETTINGS = ["model.checkpointing=false", "run.bf16=false", "data.valid=0.3", "stage.steps=4", "stage.rows=1"]
SETTINGS += ["run.cadence.log_every=1", "stage.rate=1e-3", "stage.warm_up=2"]
ONE_WRITER = """
import os, sys
folder = os.environ["WRITTEN_BY_THE_FIRST"]

def watch(event, args):
    makes = event in ("os.rename", "os.mkdir") or (event == "open" and args[1] and set(args[1]) & set("wax+"))
    if makes and str(args[0]).startswith(folder) and os.environ.get("RANK") == "1":
        os._exit(77)

sys.addaudithook(watch)
"""


def launch(tmp_path, *words):
    """Two processes on this machine's CPU; the second one dies if it writes below `tmp_path / "two"`."""
    (tmp_path / "sitecustomize.py").write_text(ONE_WRITER)
    paths = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    watched = {"PYTHONPATH": paths, "WRITTEN_BY_THE_FIRST": str(tmp_path / "two")}
    command = [sys.executable, "-m", *LAUNCH, "-m", "dacse_cli", *map(str, words), "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **watched})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model:") == 1
    return done


def test_two_processes_take_the_steps_of_one_with_twice_the_batches(
    tmp_path, tone_pairs, small_codec, small_network
):
    """Gradients that are summed instead of averaged, or rows that two processes share, would show."""
    words = ["--config", small_network, "--codec", small_codec, *(w for s in SETTINGS for w in ("--set", s))]
    launch(tmp_path, "train", "lm", tone_pairs, tmp_path / "two", *words, "--set", "stage.accumulate=2")
    run_dacse("train", "lm", tone_pairs, tmp_path / "one", *words, "--set", "stage.accumulate=4", "-q")
    for column in ("loss", "gradient", "tokens", "valid_loss"):
        two, one = (curve(tmp_path / name, column) for name in ("two", "one"))
        assert dict(two) == pytest.approx(dict(one), abs=1e-5)
        assert len(two) == len(one)  # no line twice


def test_two_processes_train_one_codec(tmp_path):
    (tmp_path / "dac.json").write_text(json.dumps(WARM_CODEC))
    (tmp_path / "codec.toml").write_text(CODEC_RECIPE)
    speech = write_pairs(tmp_path / "speech", [3200] * 6) / "noisy"
    words = ["-r", tmp_path / "codec.toml", "--config", tmp_path / "dac.json", "--set", "stage.steps=7"]
    launch(tmp_path, "train", "codec", speech, tmp_path / "two", *words)
    assert [step for step, _ in curve(tmp_path / "two")][-1] == 14
    assert (tmp_path / "two" / "adversarial" / "model.safetensors").exists()
