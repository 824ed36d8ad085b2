"""`dacse train codec` over units: k-means, then the decoder; killed and resumed; SET over them."""

import json

import numpy as np
import pytest
import soundfile as sf
import torch
from training_runs import RATE, curve, kill_when, voice, write_pairs, write_recogniser
from typer.testing import CliRunner

from dacse_cli.cli.app import app
from dacse_cli.codec.loading import load_codec
from dacse_cli.errors import UsageError
from dacse_cli.training.codec.codebooks import Codebook, k_means
from dacse_cli.training.codec.recipe import CodecRecipe
from dacse_cli.training.runs.recipe import read_run_recipe
from dacse_cli.training.set.start import code_vectors

DECODER = {
    "sampling_rate": RATE,
    "downsampling_ratios": [10, 8, 2, 2],
    "hidden_size": 8,
    "decoder_hidden_size": 32,
}
RECIPE = """
[model]
thin = true
weight_norm = false
[units]
layer = 2
size = 12
frames = 40
rounds = 5
[data]
seconds = 0.2
valid = 0.3
valid_rows = 4
valid_seconds = 0.2
[discriminators]
periods = [2]
windows = [128]
width = 1
[run]
cadence = { log_every = 2, validate_every = 6, save_every = 3 }
[[stage]]
name = "vocoder"
steps = 10
rows = 4
rate = 2e-3
adversarial = false
[[stage]]
name = "adversarial"
steps = 6
rows = 4
rate = 2e-3
"""


@pytest.fixture
def place(tmp_path):
    """Speech, a recogniser and a recipe."""
    (tmp_path / "speech").mkdir()
    (tmp_path / "whisper").mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        sound = voice(RATE // 2, number) + 0.02 * rng.standard_normal(RATE // 2).astype(np.float32)
        sf.write(tmp_path / "speech" / f"r{number}.wav", sound, RATE)
    write_recogniser(tmp_path / "whisper")
    (tmp_path / "decoder.json").write_text(json.dumps(DECODER))
    (tmp_path / "units.toml").write_text(RECIPE)
    return tmp_path


def words(place, out, *more):
    encoder = f"units.encoder={place / 'whisper'}"
    given = ["--config", place / "decoder.json", "--set", encoder]
    return [
        "train",
        "codec",
        place / "speech",
        out,
        "-r",
        place / "units.toml",
        "--device",
        "cpu",
        *given,
        *more,
    ]


def dacse(*line):
    done = CliRunner().invoke(app, [str(word) for word in line])
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.ci
def test_a_killed_vocoder_goes_on_as_if_never_stopped(place):
    """The decoder learns from what the units say, units stay, and the folder is a codec."""
    log = place / "killed" / "log.csv"
    assert kill_when(words(place, place / "killed"), lambda: log.exists() and len(curve(log.parent)) >= 3)
    dacse(*words(place, place / "killed"))
    dacse(*words(place, place / "straight"))
    for column in ("loss", "valid_loss", "perplexity"):
        resumed, straight = (dict(curve(place / name, column)) for name in ("killed", "straight"))
        assert resumed == pytest.approx(straight, abs=1e-5), column
    first, *_, last = (loss for _, loss in curve(place / "straight", "valid_loss"))
    assert last < first
    early, late = (load_codec(place / "straight" / name) for name in ("vocoder", "adversarial"))
    sound = voice(RATE, 3)[None]
    found = early.encode(sound)
    assert found.shape == (1, 1, 50) and len(np.unique(found)) > 2
    np.testing.assert_array_equal(found, late.encode(sound))
    assert (early.decode(found) != late.decode(found)).any()


def test_it_goes_on_from_a_units_codec(place):
    """`--from`: the same units; and float16 folders are read as well."""
    one = ["--set", "stage.steps=1", "--until", "vocoder", "--set", "model.store=float16"]
    dacse(*words(place, place / "first", *one))
    dacse("train", "codec", place / "speech", place / "second", "-r", place / "units.toml", "--device", "cpu",
          "--from", place / "first" / "vocoder", *one)  # fmt: skip
    sound = voice(RATE, 2)[None]
    first, second = (load_codec(place / name / "vocoder") for name in ("first", "second"))
    np.testing.assert_array_equal(first.encode(sound), second.encode(sound))


def test_set_is_trained_over_units_and_enhances(place):
    """No step knows the kind of codec: pairs are encoded, a network begins by copying, a file is enhanced."""
    dacse(*words(place, place / "run", "--until", "vocoder", "--set", "stage.steps=1"))
    write_pairs(place / "pairs", [RATE // 2] * 6)
    sizes = {"layers": 1, "width": 16, "heads": 2, "feed_forward": 24, "kernel": 5}
    config = {"embedding_width": 12, "joint_width": 20, "head_width": 8, "dropout": 0.0, "encoder": sizes}
    predictor = {"predictor": {"kind": "conformer", **sizes}, "max_frames": 200}
    (place / "set.json").write_text(json.dumps(config | predictor))
    few = ["model.embeddings=copy", "stage.steps=2", "stage.rows=2", "stage.frames=16", "data.valid=0.3"]
    given = ["--codec", place / "run" / "vocoder", "--config", place / "set.json", "--device", "cpu"]
    settings = [word for one in few for word in ("--set", one)]
    dacse("train", "set", place / "pairs", place / "set", *given, *settings)
    model = place / "set" / "teacher"
    dacse("enhance", place / "pairs" / "noisy" / "p0.wav", "-o", place / "out.wav", "--model", model,
          "--device", "cpu")  # fmt: skip
    assert sf.info(place / "out.wav").frames == RATE // 2
    vectors = code_vectors(place / "run" / "vocoder", 1)
    assert vectors.shape == (1, 12, 64) and float(vectors.mean(1).abs().max()) < 1e-5


def test_units_need_the_shape_of_a_decoder(place):
    done = CliRunner().invoke(
        app, ["train", "codec", str(place / "speech"), str(place / "o"), "-r", str(place / "units.toml"),
              "--set", f"units.encoder={place / 'whisper'}", "--size", "16khz"],
    )  # fmt: skip
    assert isinstance(done.exception, UsageError) and "shape of a decoder" in str(done.exception)
    with pytest.raises(UsageError, match="found by k-means once"):
        read_run_recipe(CodecRecipe, None, ["units.encoder=x", "model.warm_start=true"])


def test_k_means_finds_what_is_there():
    torch.manual_seed(0)
    middles = 10 * torch.randn(6, 4)
    rows = (middles[:, None] + 0.1 * torch.randn(6, 200, 4)).flatten(0, 1)
    book = Codebook(1, 4, 24)
    k_means(book, rows, torch.Generator().manual_seed(0), 20, torch.ones(len(rows)))
    near = torch.cdist(middles, book.codes).amin(1)
    assert (near < 0.5).all()
