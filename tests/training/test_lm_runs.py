"""`dacse train lm` in use: noise mixed on the way, models gone on with, runs that are refused."""

import json

import numpy as np
import pytest
import soundfile as sf
from training_runs import RATE, curve, voice
from typer.testing import CliRunner

from dacse_cli.cli.app import app
from dacse_cli.errors import CheckpointError, LockedError, NoInputError, UsageError
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.training.runs.folder import RunFolder

SHORT = ["run.bf16=false", "run.cadence.log_every=1", "stage.steps=3", "stage.rows=2", "stage.accumulate=1"]
SHORT += [
    "stage.rate=1e-3",
    "stage.warm_up=0",
    "stage.frames=16",
    "data.valid=0.3",
    "model.checkpointing=false",
]


@pytest.fixture
def train(small_codec):
    """Runs `train lm` here; raises what it raises."""

    def run(*words, settings=(), codec=small_codec):
        settings = [word for setting in [*SHORT, *settings] for word in ("--set", setting)]
        words = ["train", "lm", *words, *(["--codec", codec] if codec else []), *settings, "--json"]
        done = CliRunner().invoke(app, [str(word) for word in words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_noise_is_mixed_on_the_way_the_same_from_the_same_seed(tmp_path, train, small_network):
    rng = np.random.default_rng(0)
    for kind in ("speech", "noise"):
        (tmp_path / kind).mkdir()
        for number in range(4):
            sound = 0.1 * rng.standard_normal(RATE + 4000).astype(np.float32)
            sound += voice(RATE + 4000, number) if kind == "speech" else 0
            sf.write(tmp_path / kind / f"x{number}.wav", sound, RATE)
    words = [tmp_path / "speech", "--noise", tmp_path / "noise", "--config", small_network]
    mixed = ["data.recipe=natural=1,clip=1", "data.seconds=1", "data.valid_rows=4"]
    train(words[0], tmp_path / "a", *words[1:], settings=mixed)
    train(words[0], tmp_path / "b", *words[1:], "--jobs", 2, settings=mixed)
    train(words[0], tmp_path / "c", *words[1:], settings=[*mixed, "run.seed=1"])
    assert curve(tmp_path / "a") == curve(tmp_path / "b") != curve(tmp_path / "c")
    assert len(curve(tmp_path / "a", "valid_loss")) == 1
    card = json.loads((tmp_path / "a" / "joint" / "dacse.json").read_text())
    assert card["fixed_chunk"] is True
    assert card["chunk_seconds"] == 16 * 64 / RATE


def test_training_goes_on_from_a_folder_and_its_own_codec(tmp_path, train, tone_pairs, small_network):
    train(tone_pairs, tmp_path / "first", "--config", small_network, settings=["stage.steps=30"])
    first = tmp_path / "first" / "joint"
    train(tone_pairs, tmp_path / "second", "--from", first, codec=None)
    assert curve(tmp_path / "second")[0][1] < curve(tmp_path / "first")[2][1]
    assert load_language_model(tmp_path / "second" / "joint", vocab_size=101).max_positions == 2048
    assert "from" in json.loads((tmp_path / "second" / "joint" / "dacse.json").read_text())["training"]


def test_stages_that_have_begun_may_not_change_and_others_may(tmp_path, train, tone_pairs, small_network):
    recipe = tmp_path / "two.toml"
    words = [tone_pairs, tmp_path / "run", "--config", small_network, "-r", recipe]
    recipe.write_text('[[stage]]\nname = "one"\n[[stage]]\nname = "two"\n')
    assert train(*words, "--until", "one")["steps"] == 3
    with pytest.raises(UsageError, match=r"stage 1\.floor"):
        train(*words, settings=["stage.floor=0.5"])
    recipe.write_text('[[stage]]\nname = "one"\n[[stage]]\nname = "other"\nloss = "codebook"\n')
    assert train(*words)["steps"] == 3
    assert train(*words)["steps"] == 0
    assert {"one", "other"} <= {path.name for path in (tmp_path / "run").iterdir()}
    assert curve(tmp_path / "run")[-1][0] == 6


def test_codes_are_kept_and_shared(tmp_path, train, tone_pairs, small_network):
    words = ["--config", small_network, "--cache", tmp_path / "codes"]
    train(tone_pairs, tmp_path / "a", *words)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "codes").rglob("*.safetensors")}
    train(tone_pairs, tmp_path / "b", *words)
    train(tone_pairs, tmp_path / "c", *words[:2])
    assert len(made) == 2
    alone = {path.read_bytes() for path in (tmp_path / "c" / "tokens").rglob("*.safetensors")}
    assert alone == {path.read_bytes() for path in made}
    assert made == {path: path.stat().st_mtime_ns for path in (tmp_path / "codes").rglob("*.safetensors")}


def test_what_cannot_be_trained_is_refused(tmp_path, train, tone_pairs, small_network, tiny_model):
    with pytest.raises(UsageError, match="which network"):
        train(tone_pairs, tmp_path / "run")
    with pytest.raises(UsageError, match="no pairs of loss"):
        train(tone_pairs, tmp_path / "run", "--config", small_network, settings=["stage.tasks=['loss']"])
    with pytest.raises(UsageError, match="no pair has 900 frames"):
        train(tone_pairs, tmp_path / "run", "--config", small_network, settings=["stage.frames=900"])
    with pytest.raises(NoInputError):
        train(tmp_path, tmp_path / "run", "--config", small_network)
    with pytest.raises(CheckpointError, match="9221"):
        train(tone_pairs, tmp_path / "run", "--from", tiny_model)
    wide = tmp_path / "wide.json"
    wide.write_text(json.dumps(json.loads(small_network.read_text()) | {"vocab_size": 9221}))
    with pytest.raises(UsageError, match="101"):
        train(tone_pairs, tmp_path / "run", "--config", wide)


def test_a_folder_is_trained_in_by_one_run(tmp_path, train, tone_pairs, small_network):
    with RunFolder(tmp_path / "run") as held:
        held.open()
        with pytest.raises(LockedError):
            train(tone_pairs, tmp_path / "run", "--config", small_network)


def test_a_training_that_diverges_stops_and_says_so(tmp_path, train, tone_pairs, small_network):
    wild = ["stage.rate=1e30", "stage.steps=9", "stage.clip=1e30"]
    with pytest.raises(UsageError, match="diverged"):
        train(tone_pairs, tmp_path / "run", "--config", small_network, settings=wild)
    assert not (tmp_path / "run" / "state.safetensors").exists()


def test_what_mix_has_written_is_trained_on_task_by_task(tmp_path, train, small_network):
    for speaker in range(4):
        (tmp_path / "speech" / f"s{speaker}").mkdir(parents=True)
        for number in range(2):
            sound = voice(RATE + 2000 * number, 2 * speaker + number)
            sf.write(tmp_path / "speech" / f"s{speaker}" / f"{number}.wav", sound, RATE)
    words = ["mix", tmp_path / "speech", tmp_path / "pairs", "--recipe", "clip=1,loss=1", "--rate", RATE]
    mixed = CliRunner().invoke(
        app, [str(w) for w in [*words, "--split", "train=60,valid=40", "-n", 12, "-q"]]
    )
    assert mixed.exit_code == 0, mixed.output
    recipe = tmp_path / "tasks.toml"
    recipe.write_text('[[stage]]\nname = "joint"\n[[stage]]\nname = "task"\neach = ["clip", "loss"]\n')
    done = train(tmp_path / "pairs", tmp_path / "run", "--config", small_network, "-r", recipe)
    assert done["steps"] == 9
    assert done["model"] == str(tmp_path / "run" / "task-loss")
    assert [step for step, _ in curve(tmp_path / "run", "valid_loss")] == [3, 6, 9]
    trained = json.loads((tmp_path / "run" / "task-clip" / "dacse.json").read_text())["training"]
    assert "stage task clip" in trained
