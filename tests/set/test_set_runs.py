"""`dacse train set` in use: kill and resume, noise mixed on the way, fewer codebooks, latents, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from tiny_set import CONFIG
from typer.testing import CliRunner

from dacse_cli.cli.app import app
from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.set.translator import load_set

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
Train = Callable[..., dict[str, Any]]
SHORT = [
    "run.bf16=false",
    "run.cadence.log_every=1",
    "run.cadence.save_every=2",
    "run.cadence.validate_every=2",
]
SHORT += ["stage.steps=4", "stage.rows=2", "stage.frames=16", "data.valid=0.3", "data.free_batches=1"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A network without units: they are the codec's."""
    path = tmp_path / "network.json"
    without = {key: value for key, value in CONFIG.items() if key not in ("codebooks", "codebook_size")}
    path.write_text(json.dumps(without))
    return path


@pytest.fixture
def train(small_codec: Path) -> Train:
    """Runs `train set` here; raises what it raises."""

    def run(
        *words: object, settings: list[str] | tuple[str, ...] = (), codec: Path | None = small_codec
    ) -> dict[str, Any]:
        chosen = [word for setting in [*SHORT, *settings] for word in ("--set", setting)]
        line = ["train", "set", *words, *(["--codec", codec] if codec else []), *chosen, "--json"]
        done = CliRunner().invoke(app, [str(word) for word in line])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run


def log(folder: Path) -> list[dict[str, str]]:
    """All lines of a run's log but for times."""
    lines = (folder / "log.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    timed = ("frames_per_second", "wait", "seconds")
    return [{key: value for key, value in row.items() if key not in timed} for row in rows]


TWO = """
[[stage]]
name = "teacher"
[[stage]]
name = "own"
past = "beam"
beam = 2
"""


def test_a_stopped_run_continues_with_the_same_curve(
    tmp_path: Path, train: Train, tone_pairs: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between a checkpoint and the next, in both stages."""
    from dacse_cli.training.set.trainer import SetTrainer

    recipe = tmp_path / "two.toml"
    recipe.write_text(TWO)
    words = [tone_pairs, "--config", config, "-r", recipe]
    train(words[0], tmp_path / "whole", *words[1:])
    step, calls = SetTrainer.step, [0]

    def stopping(self: SetTrainer, number: int, share: float) -> Any:
        calls[0] += 1
        if calls[0] in (4, 10):
            raise KeyboardInterrupt
        return step(self, number, share)

    monkeypatch.setattr(SetTrainer, "step", stopping)
    for _ in range(3):
        try:
            train(words[0], tmp_path / "stopped", *words[1:])
        except (KeyboardInterrupt, AssertionError):
            continue
    assert calls[0] == 12  # of 8 steps: 2 were stopped, 2 had been taken since the last checkpoint
    assert log(tmp_path / "stopped") == log(tmp_path / "whole") != []
    last = log(tmp_path / "whole")[-1]
    assert last["stage"] == "own" and last["free_accuracy"] and last["valid_loss"]


def test_a_model_folder_is_complete(tmp_path: Path, train: Train, tone_pairs: Path, config: Path) -> None:
    """Network, codec and card; `--from` goes on with it."""
    done = train(tone_pairs, tmp_path / "run", "--config", config, settings=["model.embeddings=codebooks"])
    folder = Path(done["model"])
    card = json.loads((folder / "dacse.json").read_text())
    assert card["codec"] == "codec" and "dacse train set: 5 pairs" in card["training"]
    made = load_set(folder)
    assert (made.units.books, made.units.size) == (3, 32)
    assert card["chunk_seconds"] == 8 / 250  # rows of 16 frames, 9 of context
    again = train(tone_pairs, tmp_path / "more", "--from", folder, codec=None)
    assert "from" in json.loads((Path(again["model"]) / "dacse.json").read_text())["training"]


def test_the_card_names_chunks_that_fit_the_model(
    tmp_path: Path, train: Train, tone_pairs: Path, config: Path
) -> None:
    """Chunks may be a quarter longer at the end of a recording, and have context beside them."""
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_frames": 16}))
    done = train(tone_pairs, tmp_path / "run", "--config", config)
    card = json.loads((Path(done["model"]) / "dacse.json").read_text())
    assert card["chunk_seconds"] == 5 / 250  # (16 frames - 5 and 4 of context) / 1.25


def test_fewer_codebooks(tmp_path: Path, train: Train, tone_pairs: Path, config: Path) -> None:
    """The codec beside the model has as many codebooks as the model."""
    from dacse_cli.codec.loading import load_codec

    done = train(tone_pairs, tmp_path / "run", "--config", config, settings=["model.codebooks=2"])
    folder = Path(done["model"])
    assert load_set(folder).units.books == load_codec(folder / "codec").spec.units.books == 2


def test_latents(tmp_path: Path, train: Train, tone_pairs: Path, config: Path) -> None:
    """A baseline over the codec's latents is trained, written and read; a predictor over them is refused."""
    from dacse_cli.codec.loading import load_codec
    from dacse_cli.interfaces import Latents

    without = {key: value for key, value in json.loads(config.read_text()).items() if key != "predictor"}
    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps(without))
    over = ["model.units=latents", "stage.loss=l1+mse"]
    folder = Path(train(tone_pairs, tmp_path / "run", "--config", alone, settings=over)["model"])
    made = load_set(folder)
    assert isinstance(made.units, Latents)
    assert made.units == load_codec(folder / "codec", units="latents").spec.units
    with pytest.raises(CheckpointError, match="a predictor needs codes"):
        train(tone_pairs, tmp_path / "other", "--config", config, settings=over)


def test_noise_is_mixed_on_the_way(tmp_path: Path, train: Train, config: Path) -> None:
    from training_runs import RATE, voice

    rng = np.random.default_rng(0)
    for kind in ("speech", "noise"):
        (tmp_path / kind).mkdir()
        for number in range(4):
            sound = 0.1 * rng.standard_normal(RATE + 4000).astype(np.float32)
            sound += voice(RATE + 4000, number) if kind == "speech" else 0
            sf.write(tmp_path / kind / f"x{number}.wav", sound, RATE)
    words = [tmp_path / "speech", "--noise", tmp_path / "noise", "--config", config]
    mixed = ["data.recipe=natural=1,clip=1", "data.seconds=1", "data.valid_rows=4"]
    train(words[0], tmp_path / "a", *words[1:], settings=mixed)
    train(words[0], tmp_path / "b", *words[1:], settings=mixed)
    assert log(tmp_path / "a") == log(tmp_path / "b")


def test_impossible_trainings_are_refused(
    tmp_path: Path, train: Train, tone_pairs: Path, config: Path
) -> None:
    with pytest.raises(UsageError, match="which network"):
        train(tone_pairs, tmp_path / "run")
    with pytest.raises(UsageError, match=r"'huge' is not a size of SET"):
        train(tone_pairs, tmp_path / "run", "--size", "huge")
    with pytest.raises(UsageError, match=r"codebooks must be from 1 to the codec's 3, not 4"):
        train(tone_pairs, tmp_path / "run", "--config", config, settings=["model.codebooks=4"])
    with pytest.raises(UsageError, match=r"past is clean, greedy, beam"):
        train(tone_pairs, tmp_path / "run", "--config", config, settings=["stage.past=other"])
    with pytest.raises(UsageError, match=r"beam 1 to 64"):
        train(tone_pairs, tmp_path / "run", "--config", config, settings=["stage.beam=10000"])
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(json.loads(config.read_text()) | {"codebooks": 3, "surprise": 1}))
    with pytest.raises(CheckpointError, match="unknown surprise"):
        train(tone_pairs, tmp_path / "run", "--config", wrong)


def test_shipped_recipes_are_read() -> None:
    from dacse_cli.training.codec.recipe import CodecRecipe
    from dacse_cli.training.lm.recipe import LmRecipe
    from dacse_cli.training.runs.recipe import RunRecipe, read_run_recipe
    from dacse_cli.training.set.recipe import SetRecipe

    kinds: dict[str, type[RunRecipe]] = {"set": SetRecipe, "checks": LmRecipe}
    for folder, kind in kinds.items():
        found = sorted((RECIPES / folder).glob("*.toml"))
        assert found
        for path in found:
            own = CodecRecipe if path.name == "units.toml" else kind  # the codec of SET's semantic units
            assert read_run_recipe(own, path).stages(), path


def test_train_plan_computes_sizes() -> None:
    done = CliRunner().invoke(app, ["train", "plan", "set", "nar", "--json"])
    assert done.exit_code == 0, done.output
    plans = [json.loads(line) for line in done.stdout.splitlines()]
    assert [plan["name"] for plan in plans] == ["set", "nar"]
    assert plans[0]["parameters"] == 39_546_752 and plans[0]["hours"] > plans[1]["hours"] > 0
