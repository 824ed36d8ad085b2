"""The recipe of `nano`, from recordings to a model folder, with networks and numbers of toy size."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from safetensors.numpy import load_file
from training_runs import RATE, voice

from dacse_cli.codec.loading import load_codec
from dacse_cli.training import corpus
from dacse_cli.training.loop import Peers

RECIPE = Path(__file__).parents[2] / "examples" / "recipes" / "nano" / "train_nano.py"
SECONDS = 1e-3
"""Of a stage: it is over after its first step."""
SMALL = {
    "downsampling_ratios": [8, 8],
    "encoder_hidden_size": 16,
    "decoder_hidden_size": 64,
    "n_codebooks": 3,
    "codebook_size": 16,
    "codebook_dim": 9,
}


class Level:
    """A recogniser that hears nothing but level."""

    def __init__(self, folder):
        """As the real one."""

    def distance(self, heard, meant):
        return (heard.square().mean(1) - meant.square().mean(1)).abs().mean()


@pytest.fixture
def nano(monkeypatch):
    """The script as a module; fewer and shorter crops where k-means wants minutes of speech."""
    spec = importlib.util.spec_from_file_location("train_nano", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    draw = module.Pairs.__call__
    monkeypatch.setattr(
        module.Pairs,
        "__call__",
        lambda self, rows, samples, *a, **b: draw(self, min(rows, 12), min(samples, RATE // 4), *a, **b),
    )
    monkeypatch.setattr(module, "CODEC", module.CODEC | SMALL)
    monkeypatch.setattr(module, "CODEBOOKS", 4)
    monkeypatch.setattr(module, "DIRECTIONS", 24)
    monkeypatch.setattr(module, "ONLY_DECODER", replace(module.ONLY_DECODER, rows=2, dropout_from=2))
    monkeypatch.setattr(module, "Hearing", Level)
    return module


def record(path, number):
    """Two seconds as Opus: the recipe's corpora are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = voice(2 * RATE, number) + 0.05 * np.random.default_rng(number).standard_normal(2 * RATE)
    sf.write(path, sound.astype(np.float32), RATE, format="OGG", subtype="OPUS")


def test_every_stage_hands_on_to_the_next(tmp_path, nano):
    """A stage that loses the codebooks before it, or a card that says nothing of the data, would ship."""
    data, work, out = tmp_path / "data", tmp_path / "work", tmp_path / "out"
    for number, name in enumerate(nano.CLEAN):
        record(data / "speech" / name / "a" / "x.opus", number)
    record(data / "noise" / "n.opus", 9)
    nano.build_data(data, work)
    assert corpus.open_corpus("noise", work / "data")
    assert (work / "speech" / "intent" / "a" / "x.opus").is_symlink()
    nano.train_codec(work, SECONDS, Peers(), 3)
    first = load_file(work / "codec" / "model.safetensors")
    nano.restart_codebooks(work)
    restarted = load_file(work / "codec" / "model.safetensors")
    nano.train_decoder(work, SECONDS, tmp_path)
    last = load_file(work / "codec" / "model.safetensors")
    assert nano.stages(nano.loop.load_state(work / "decoder.safetensors")) == 4
    for name, tensor in last.items():
        part = name.split(".")[0]
        if part == "encoder":
            np.testing.assert_array_equal(tensor, first[name])
        elif part == "quantizer":
            np.testing.assert_array_equal(tensor, restarted[name])
    assert any(not np.array_equal(last[name], first[name]) for name in last if name.startswith("decoder"))
    (tmp_path / "lm").mkdir()
    card = {"codec": "codec", "chunk_seconds": 0.5}
    (tmp_path / "lm" / "dacse.json").write_text(json.dumps(card))
    nano.write(work, tmp_path / "lm", out)
    assert json.loads((out / "dacse.json").read_text()) == card | nano.CARD
    assert load_codec(out / "codec").spec.units.books == 4
