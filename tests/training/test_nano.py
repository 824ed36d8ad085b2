"""The recipe of `nano`, from recordings to a model folder, with networks and numbers of toy size."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from safetensors.numpy import load_file
from training_runs import NETWORK, RATE, voice, write_recogniser
from typer.testing import CliRunner

from dacse_cli.cli.app import app
from dacse_cli.codec.loading import load_codec
from dacse_cli.filters.mask.load import load_mask
from dacse_cli.training.codec.recipe import CodecRecipe
from dacse_cli.training.lm.recipe import LmRecipe
from dacse_cli.training.mask.recipe import MaskRecipe
from dacse_cli.training.runs.recipe import read_run_recipe

RECIPES = Path(__file__).parents[2] / "examples" / "recipes" / "nano"
SMALL = {
    "downsampling_ratios": [8, 8],
    "encoder_hidden_size": 16,
    "decoder_hidden_size": 64,
    "n_codebooks": 3,
    "codebook_size": 16,
    "codebook_dim": 9,
}


@pytest.fixture
def nano(monkeypatch, tmp_path):
    """The script as a module; its recipes shortened, its commands run in this process."""
    spec = importlib.util.spec_from_file_location("train_nano", RECIPES / "train_nano.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    here = tmp_path / "recipes"
    here.mkdir()
    for name in ("held_out.txt", "left_out.txt"):
        (here / name).write_text("# none\nspeech/intent/a/left.opus\n")
    codec = (RECIPES / "codec.toml").read_text()
    for long, short in (
        ("minutes = 75", "minutes = 1e-5"),
        ("minutes = 90", "minutes = 1e-5"),
        ("rows = 16", "rows = 2"),
        ("rows = 10", "rows = 2"),
        ("restart = 96", "restart = 24"),
        ("seconds = 0.8", "seconds = 0.3"),
        ("speeds = [1.0, 0.9, 1.1]", "speeds = [1.0, 0.9]"),
        ("dropout_from = 10", "dropout_from = 2"),
    ):
        assert long in codec
        codec = codec.replace(long, short)
    (here / "codec.toml").write_text(codec)
    (here / "codec-config.json").write_text(
        json.dumps(json.loads((RECIPES / "codec-config.json").read_text()) | SMALL)
    )
    mask = (RECIPES / "mask.toml").read_text()
    for long, short in (
        ("minutes = 60", "minutes = 1e-5"),
        ("minutes = 75", "minutes = 1e-5"),
        ("width = 48", "width = 4"),
        ("blocks = [1, 2, 4, 8, 1, 2, 4, 8]", "blocks = [1]"),
        ("minutes = 76", "minutes = 1e-5"),
        ("opinion = 0.025", ""),
        ("opinion = 0.02\n", ""),
        ("voice = 0.2", ""),
        (", libri = 0.43", ""),
        ("valid = 0.02", "valid = 0.0"),
    ):
        assert long in mask
        mask = mask.replace(long, short)
    (here / "mask.toml").write_text(mask)
    lm = (RECIPES / "lm.toml").read_text().replace("steps = 800", "steps = 2")
    (here / "lm.toml").write_text(
        lm.replace("valid_rows = 24", "valid_rows = 2").replace('"copy"', '"codebooks"')
    )
    (here / "lm-config.json").write_text(json.dumps(NETWORK))

    def dacse(*words):
        words = [str(word) for word in words]
        words[words.index("--jobs") + 1] = "0"
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output

    monkeypatch.setattr(module, "HERE", here)
    monkeypatch.setattr(module, "dacse", dacse)
    return module


def record(path, number):
    """Two seconds as Opus: the recipe's corpora are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = voice(2 * RATE, number) + 0.05 * np.random.default_rng(number).standard_normal(2 * RATE)
    sf.write(path, sound.astype(np.float32), RATE, format="OGG", subtype="OPUS")


def test_every_part_hands_on_to_the_next(tmp_path, nano):
    """A part that loses the codebooks before it, or a card that does not name the data, would ship."""
    data, work = tmp_path / "data", tmp_path / "work"
    for number, name in enumerate(("kerstin", "intent", "prompts")):
        record(data / "speech" / name / "a" / "x.opus", number)
    record(data / "speech" / "intent" / "a" / "left.opus", 7)
    record(data / "noise" / "n.opus", 9)
    record(data / "noise" / "m.opus", 8)
    nano.lay_out(data, work)
    assert (work / "speech" / "intent" / "a" / "x.opus").is_symlink()
    assert not (work / "speech" / "intent" / "a" / "left.opus").exists()
    nano.train(work, write_recogniser(tmp_path), [])
    first, last = (load_file(work / "codec" / name / "model.safetensors") for name in ("codec", "decoder"))
    same = {name for name in last if np.array_equal(first[name], last[name])}
    assert all(name in same for name in last if name.startswith("encoder"))
    assert not any(name in same for name in last if name.endswith("codebook.weight"))
    assert any(name not in same for name in last if name.startswith("decoder"))
    card = json.loads((work / "nano" / "dacse.json").read_text())
    assert load_mask(work / "nano" / card["filter"]).guides == 0
    assert card["codec"] == "codec" and card["licence"] == nano.CARD["licence"]
    shipped = load_file(work / "nano" / "codec" / "model.safetensors")
    assert all(np.array_equal(shipped[name], last[name]) for name in last)
    assert load_codec(work / "nano" / "codec").spec.units.books == 3


def test_its_recipes_are_read():
    codec = read_run_recipe(CodecRecipe, RECIPES / "codec.toml", ["data.recogniser=x"])
    assert [stage.name for stage in codec.stages()] == ["codec", "decoder"]
    mask = read_run_recipe(MaskRecipe, RECIPES / "mask.toml", ["data.recogniser=x"]).stages()
    assert [stage.name for stage in mask] == ["distance", "listeners", "words"]
    assert read_run_recipe(LmRecipe, RECIPES / "lm.toml").stages()[0].targets == "residual"
