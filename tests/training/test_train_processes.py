"""Several processes of one training, as `accelerate launch` starts them; needs dacse[train]."""

import json
import subprocess
import sys

import pytest
from training_runs import CODEC_RECIPE, WARM_CODEC, curve, run_dacse, write_pairs

pytest.importorskip("accelerate", reason="needs dacse[train]")
SETTINGS = ["model.checkpointing=false", "run.bf16=false", "data.valid=0.3", "stage.steps=4", "stage.rows=1"]
SETTINGS += ["run.cadence.log_every=1", "stage.rate=1e-3", "stage.warm_up=2"]


def launch(*words):
    """Two processes on this machine's CPU."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    done = subprocess.run(
        [*command, "-m", "dacse_cli", *map(str, words), "--device", "cpu"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_two_processes_take_the_steps_of_one_with_twice_the_batches(
    tmp_path, tone_pairs, small_codec, small_network
):
    """Gradients that are summed instead of averaged, or rows that two processes share, would show."""
    words = ["--config", small_network, "--codec", small_codec, *(w for s in SETTINGS for w in ("--set", s))]
    done = launch("train", "lm", tone_pairs, tmp_path / "two", *words, "--set", "stage.accumulate=2")
    assert done.stdout.count("model:") == 1
    run_dacse("train", "lm", tone_pairs, tmp_path / "one", *words, "--set", "stage.accumulate=4", "-q")
    for column in ("loss", "gradient", "tokens", "valid_loss"):
        assert dict(curve(tmp_path / "two", column)) == pytest.approx(
            dict(curve(tmp_path / "one", column)), abs=1e-5
        )


def test_two_processes_train_one_codec(tmp_path):
    (tmp_path / "dac.json").write_text(json.dumps(WARM_CODEC))
    (tmp_path / "codec.toml").write_text(CODEC_RECIPE)
    speech = write_pairs(tmp_path / "speech", [3200] * 6) / "noisy"
    words = ["-r", tmp_path / "codec.toml", "--config", tmp_path / "dac.json", "--set", "stage.steps=7"]
    launch("train", "codec", speech, tmp_path / "run", *words)
    assert [step for step, _ in curve(tmp_path / "run")][-1] == 14
    assert (tmp_path / "run" / "adversarial" / "model.safetensors").exists()
