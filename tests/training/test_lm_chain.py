"""`dacse train lm` from end to end: what it learns by heart, it generates; what is killed goes on."""

import json

import numpy as np
import pytest
import soundfile as sf
from training_runs import curve, kill_when, write_pairs
from typer.testing import CliRunner

from dacse_cli.cli.app import app
from dacse_cli.codec.loading import load_codec
from dacse_cli.errors import UsageError
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.tokens.layout import TokenLayout

HEART = ["run.bf16=false", "model.store=float32", "model.checkpointing=false", "data.valid=0"]
HEART += ["stage.steps=150", "stage.rows=2", "stage.accumulate=1", "stage.rate=4e-3", "stage.warm_up=10"]


def options(*settings):
    return [word for setting in settings for word in ("--set", setting)]


def test_one_batch_is_learnt_by_heart_and_generated_so(tmp_path, small_codec, small_network):
    """Prompt, positions, embeddings or stored weights that differ between training and use show here."""
    pairs = write_pairs(tmp_path / "pairs", [1600, 1600])
    words = ["--config", small_network, "--codec", small_codec, *options(*HEART)]
    trained = CliRunner().invoke(app, ["train", "lm", str(pairs), str(tmp_path / "run"), *map(str, words)])
    assert trained.exit_code == 0, trained.output
    assert curve(tmp_path / "run")[-1][1] < 0.05
    codec, model = load_codec(small_codec), load_language_model(tmp_path / "run" / "joint", dtype="float32")
    layout = TokenLayout(3, 32)
    for name in ("p0", "p1"):
        noisy, clean = (
            codec.encode(sf.read(pairs / side / f"{name}.wav", dtype="float32")[0][None])[0]
            for side in ("noisy", "clean")
        )
        (answer,) = model.generate([layout.prompt(noisy)], [clean.size], layout.ranges)
        assert np.array_equal(layout.unflatten(answer), clean)


TWO_STAGES = """
[model]
checkpointing = false
[data]
valid = 0.3
free_batches = 1
[run]
bf16 = false
cadence = { log_every = 2, validate_every = 10, save_every = 5 }
[[stage]]
name = "joint"
steps = 14
frames = 16
vary = 0.5
rows = 2
accumulate = 2
rate = 2e-3
warm_up = 4
past = { noisy = 0.2, random = 0.1, own = 0.3, passes = 2 }
[[stage]]
name = "longer"
steps = 30
rows = 3
accumulate = 1
rate = 1e-3
optimizer = "muon"
loss = "codebook"
weights = [2.0, 0.5]
"""


def test_a_killed_run_goes_on_as_if_never_stopped(tmp_path, tone_pairs, small_codec, small_network):
    """Killed in its second stage: data order, dropout, optimizer and sums of the log are all in step."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(TWO_STAGES)
    words = ["-r", recipe, "--config", small_network, "--codec", small_codec]
    killed = ["train", "lm", tone_pairs, tmp_path / "killed", *words]
    log = tmp_path / "killed" / "log.csv"
    assert kill_when(killed, lambda: log.exists() and len(curve(log.parent)) >= 12)
    for name, fewest in (("killed", 1), ("straight", 44)):
        arguments = ["train", "lm", tone_pairs, tmp_path / name, *words, "--json"]
        done = CliRunner().invoke(app, list(map(str, arguments)))
        assert done.exit_code == 0, done.output
        steps = json.loads(done.stdout.splitlines()[-1])["steps"]
        assert fewest <= steps <= 44
        assert (steps == 44) == (name == "straight")
    for column in ("loss", "valid_loss", "free_accuracy", "gradient"):
        resumed, straight = (dict(curve(tmp_path / name, column)) for name in ("killed", "straight"))
        assert resumed == pytest.approx(straight, abs=1e-5)


COPYING = """
[model]
embeddings = "copy"
checkpointing = false
[data]
valid = 0.3
frames = 8
[run]
bf16 = false
[[stage]]
steps = 3
rows = 2
accumulate = 1
rate = 1e-4
warm_up = 1
optimizer = "muon"
loss = "codebook"
targets = "residual"
start_rate = 0.1
past = { noisy = 0.2, own = 0.5 }
"""


def test_a_copying_start_keeps_to_whole_chunks(tmp_path, tone_pairs, small_codec, small_network):
    """Trained on one length and used at another, such a model answers with the codes of another place."""
    recipe, network = tmp_path / "recipe.toml", tmp_path / "network.json"
    recipe.write_text(COPYING)
    shape = {"hidden_size": 64, "num_attention_heads": 1, "head_dim": 64}
    network.write_text(json.dumps({**json.loads(small_network.read_text()), **shape}))
    words = ["-r", recipe, "--config", network, "--codec", small_codec]
    done = CliRunner().invoke(app, list(map(str, ["train", "lm", tone_pairs, tmp_path / "run", *words])))
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "run" / "joint" / "dacse.json").read_text())
    assert card["fixed_chunk"] is True
    varied = recipe.with_name("varied.toml")
    varied.write_text(COPYING.replace("frames = 8", "frames = 8\nvary = 0.5"))
    words = ["-r", varied, "--config", network, "--codec", small_codec]
    refused = CliRunner().invoke(app, list(map(str, ["train", "lm", tone_pairs, tmp_path / "no", *words])))
    assert isinstance(refused.exception, UsageError)
    assert "no vary" in str(refused.exception)
