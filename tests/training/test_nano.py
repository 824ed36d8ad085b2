"""The recipe of `nano`, from recordings to a model folder, with networks and numbers of toy size."""

import importlib.util
import json
import re
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


def script(name):
    """A script of the recipe as a module."""
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def nano(monkeypatch, tmp_path):
    """The script as a module; its recipes shortened, its commands run in this process."""
    module = script("train_nano")
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
    for name in ("mask.toml", "effects.toml"):
        mask = (RECIPES / name).read_text()
        for long, short in (
            (r"minutes = \d+", "minutes = 1e-5"),
            (r"width = 48|(opinion|voice) = [\d.]+|, libri = 0.43", ""),
            (r"\[model\]", "[model]\nwidth = 4"),
            (r"blocks = .*", "blocks = [1]"),
            (r"valid = 0.02", "valid = 0.0"),
        ):
            mask = re.sub(long, short, mask)
        (here / name).write_text(mask)
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
    (tmp_path / "effects").mkdir()
    sf.write(tmp_path / "effects" / "000.flac", 0.1 * np.random.default_rng(1).standard_normal(RATE), RATE)
    nano.lay_out(data, tmp_path / "effects", work)
    assert len(list((work / "sounds").rglob("*.*"))) == 5 and len(list((work / "noise").iterdir())) == 2
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
    ends = [load_file(work / "mask" / name / "model.safetensors") for name in ("listeners", "words")]
    middle = load_file(work / "mean" / "model.safetensors")
    assert all(np.allclose(middle[name], (ends[0][name] + ends[1][name]) / 2) for name in middle)
    every, end = (load_file(work / "effects" / name / "model.safetensors") for name in ("all", "last"))
    mask = load_file(work / "nano" / "mask" / "model.safetensors")
    mixed = {name: 0.3 * middle[name] + 0.4 * every[name] + 0.3 * end[name] for name in mask}
    assert all(np.allclose(mask[name], mixed[name], atol=1e-6) for name in mask)
    assert card["codec"] == "codec" and card["licence"] == nano.CARD["licence"]
    shipped = load_file(work / "nano" / "codec" / "model.safetensors")
    assert all(np.array_equal(shipped[name], last[name]) for name in last)
    assert load_codec(work / "nano" / "codec").spec.units.books == 3


def test_its_recipes_are_read():
    codec = read_run_recipe(CodecRecipe, RECIPES / "codec.toml", ["data.recogniser=x"])
    assert [stage.name for stage in codec.stages()] == ["codec", "decoder"]
    mask = read_run_recipe(MaskRecipe, RECIPES / "mask.toml", ["data.recogniser=x"]).stages()
    assert [stage.name for stage in mask] == ["distance", "listeners", "words"]
    effects = read_run_recipe(MaskRecipe, RECIPES / "effects.toml", ["data.recogniser=x"]).stages()
    assert [stage.name for stage in effects] == ["effects", "all", "last"]
    assert read_run_recipe(LmRecipe, RECIPES / "lm.toml").stages()[0].targets == "residual"


def test_effects_become_recordings_of_noise(tmp_path, monkeypatch):
    """Short sounds repeated with pauses, long ones played through, voices and silent files left out."""
    monkeypatch.syspath_prepend(RECIPES)
    effects = script("effects")
    monkeypatch.setattr(effects, "SYNTHETIC", 2)
    sounds = tmp_path / "packages" / "scratch" / "Media"
    rng = np.random.default_rng(0)
    for name, seconds, level in (
        ("Animal/Dog1", 0.2, 0.5),
        ("Animal/Dog2", 0.3, 0.1),
        ("Effects/WaterRunning", 4.0, 0.2),
        ("Effects/Pop", 0.1, 0.0),
        ("Vocals/Singer1", 0.5, 0.3),
    ):
        (sounds / name).parent.mkdir(parents=True, exist_ok=True)
        noise = level * rng.standard_normal(round(22_050 * seconds))
        sf.write(sounds / f"{name}.wav", noise, 22_050)
    kinds = effects.groups(tmp_path / "packages")
    assert {name: len(paths) for name, paths in kinds.items()} == {
        "scratch-dog": 2,
        "scratch-pop": 1,
        "scratch-waterrunning": 1,
    }
    monkeypatch.setattr(
        "sys.argv", ["effects.py", "--packages", str(tmp_path / "packages"), "--out", str(tmp_path / "noise")]
    )
    effects.main()
    written = [sf.read(path, always_2d=True) for path in sorted((tmp_path / "noise").glob("*.flac"))]
    assert [(len(sound), rate) for sound, rate in written] == [(45 * 16_000, 16_000)] * 2
    for sound, _ in written:
        parts = np.sqrt(np.mean(np.square(sound.reshape(3, -1)), axis=1))
        assert np.isfinite(sound).all() and parts.max() / parts.min() < 1.01
