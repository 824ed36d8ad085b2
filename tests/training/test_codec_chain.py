"""`dacse train codec` from end to end: it learns, what it writes is a plain codec, what is killed goes on."""

import json

import numpy as np
import pytest
import soundfile as sf
import torch
from training_runs import CODEC_RECIPE, RATE, WARM_CODEC, curve, kill_when, voice
from transformers import DacModel
from typer.testing import CliRunner

from dacse_cli.cli.app import app
from dacse_cli.codec.loading import load_codec


@pytest.fixture
def speech(tmp_path):
    """Eight recordings of half a second, and the codec's config beside them."""
    folder = tmp_path / "speech"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        sound = voice(RATE // 2, number) + 0.02 * rng.standard_normal(RATE // 2).astype(np.float32)
        sf.write(folder / f"r{number}.wav", sound, RATE)
    (tmp_path / "dac.json").write_text(json.dumps(WARM_CODEC))
    return folder


def train(*words):
    done = CliRunner().invoke(app, ["train", "codec", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.ci
def test_a_killed_codec_goes_on_as_if_never_stopped(tmp_path, speech):
    """Killed among its discriminators: optimizers, crops, quantizer dropout, code counts are in step."""
    recipe = tmp_path / "codec.toml"
    recipe.write_text(CODEC_RECIPE)
    words = ["-r", recipe, "--config", tmp_path / "dac.json", "--warm-start"]
    log = tmp_path / "killed" / "log.csv"
    killed = ["train", "codec", speech, tmp_path / "killed", *words]
    assert kill_when(killed, lambda: log.exists() and len(curve(log.parent)) >= 5)
    resumed = train(speech, tmp_path / "killed", *words, "--json")
    assert json.loads(resumed.stdout.splitlines()[-1])["steps"] < 18
    train(speech, tmp_path / "straight", *words)
    for column in ("loss", "valid_loss", "discriminator", "perplexity", "used_3", "revived"):
        resumed, straight = (dict(curve(tmp_path / name, column)) for name in ("killed", "straight"))
        assert resumed == pytest.approx(straight, abs=1e-5), column
    assert sum(value for _, value in curve(tmp_path / "straight", "revived")) > 0
    assert is_plain(tmp_path / "straight" / "adversarial")


def is_plain(folder):
    """Whether transformers and our own loader read a folder alike, without weight norm."""
    plain = DacModel.from_pretrained(folder).eval()
    names = {name for name in DacModel(plain.config).state_dict() if "parametrizations" not in name}
    if set(plain.state_dict()) != names or plain.config.quantizer_dropout:
        return False
    wav = voice(1600, 3)[None]
    with torch.no_grad():
        theirs = plain.encode(torch.from_numpy(wav)[None]).audio_codes[0].numpy()
    return np.array_equal(load_codec(folder).encode(wav)[0], theirs)


def test_steps_bring_a_fresh_codec_nearer_to_what_was_held_out(tmp_path, speech):
    sizes = ["--config", tmp_path / "dac.json", "--set", "discriminators.periods=[2]"]
    sizes += ["--set", "discriminators.windows=[]", "--set", "discriminators.width=1"]
    pace = ["stage.steps=30", "stage.rows=4", "stage.rate=2e-3", "data.seconds=0.1", "data.valid=0.3"]
    pace += ["run.cadence.validate_every=15", "stage.adversarial=false", "model.weight_norm=false"]
    train(speech, tmp_path / "run", *sizes, *(word for one in pace for word in ("--set", one)))
    first, last = (loss for _, loss in curve(tmp_path / "run", "valid_loss"))
    assert last < first


def test_training_goes_on_from_a_codec_with_odd_strides(tmp_path, speech):
    """A stride of 5 loses samples at the end; compared are as many as went in."""
    (tmp_path / "dac.json").write_text(json.dumps(WARM_CODEC | {"downsampling_ratios": [4, 5]}))
    few = ["stage.steps=2", "stage.rows=2", "data.seconds=0.1", "data.valid=0", "discriminators.width=1"]
    settings = [word for one in few for word in ("--set", one)]
    train(speech, tmp_path / "first", "--config", tmp_path / "dac.json", *settings)
    train(speech, tmp_path / "second", "--from", tmp_path / "first" / "dac", *settings)
    assert is_plain(tmp_path / "second" / "dac")
