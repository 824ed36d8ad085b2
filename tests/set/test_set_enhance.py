"""`dacse enhance` with SET: a network that has learnt its pairs by heart returns the clean codes exactly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from tiny_set import BASELINE, CONFIG, tiny_network
from typer.testing import CliRunner

from dacse_cli.api.enhancer import Enhancer
from dacse_cli.cli.app import app
from dacse_cli.codec.loading import load_codec
from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.set.checkpoint import save_network
from dacse_cli.set.translator import load_set

EASY = CONFIG | {"dropout": 0.0, "encoder": CONFIG["encoder"] | {"width": 32, "feed_forward": 64}}
LEARN = ["run.bf16=false", "stage.steps=110", "stage.rows=6", "stage.rate=1.5e-2", "stage.cosine=0.05"]
LEARN += ["data.valid=0", "stage.annealing.shrink=1.0", "run.cadence.save_every=0"]


def run(*words: object) -> str:
    """A command here; its output. Raises what it raises."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory, small_codec: Path, tone_pairs: Path) -> Path:
    """The folder of a model that knows all of `tone_pairs`."""
    work = tmp_path_factory.mktemp("learnt")
    config = {k: v for k, v in EASY.items() if k not in ("codebooks", "codebook_size")}
    (work / "network.json").write_text(json.dumps(config))
    settings = [word for setting in LEARN for word in ("--set", setting)]
    out = run(
        *("train", "set", tone_pairs, work / "run", "--config", work / "network.json"),
        *("--codec", small_codec, "--device", "cpu", "--json", *settings),
    )
    summary = json.loads(out.splitlines()[-1])
    assert summary["last"]["accuracy"] == 1.0
    return Path(summary["model"])


@pytest.mark.parametrize(
    ("beam", "expansion", "rows"),
    [(1, None, 1), (4, "best", 6), (4, "ranked", 2)],
    ids=["greedy", "beam", "ranked"],
)
def test_a_trained_model_returns_the_clean_codes(
    learnt: Path, tone_pairs: Path, beam: int, expansion: str | None, rows: int
) -> None:
    """The result is what the codec makes of the clean side: so all codes are right, alone and in a batch."""
    codec = load_codec(learnt / "codec")
    noisy, wanted = [], []
    for path in sorted((tone_pairs / "clean").iterdir()):
        clean, rate = sf.read(path, dtype="float32")
        noisy.append((sf.read(tone_pairs / "noisy" / path.name, dtype="float32")[0], rate))
        wanted.append(codec.decode(codec.encode(clean[None]))[:, : len(clean)])
    options = {"beam": beam, "expansion": expansion, "batch_size": rows}
    with Enhancer(str(learnt), device="cpu", **options) as enhancer:
        made = enhancer.enhance_batch(noisy, guard="off")
    for own, right in zip(made, wanted, strict=True):
        np.testing.assert_allclose(own.samples, right, atol=1e-5)


def folder_of(config: dict[str, object], codec: Path, folder: Path) -> str:
    """A model folder with random weights."""
    folder.mkdir()
    save_network(tiny_network(config), folder)
    shutil.copytree(codec, folder / "codec")
    (folder / "dacse.json").write_text(json.dumps({"codec": "codec"}))
    return str(folder)


def test_models_that_cannot_run_are_refused(tmp_path: Path, small_codec: Path, tiny_model: Path) -> None:
    """Before any input is read: codebooks of another codec, and searches that a model does not have."""
    other = CONFIG | {"codebooks": 2, "codebook_size": 32}
    with pytest.raises(CheckpointError, match="over 2 codebooks of 32 codes, the codec over 3"):
        Enhancer(folder_of(other, small_codec, tmp_path / "other"), device="cpu")
    alone = folder_of(BASELINE | {"codebook_size": 32}, small_codec, tmp_path / "alone")
    for folder in (alone, str(tiny_model)):
        with pytest.raises(UsageError, match="is not searched with a beam"):
            Enhancer(folder, device="cpu", beam=4)
    for beam in (0, 10_000):
        with pytest.raises(UsageError, match=f"`beam` must be a whole number from 1 to 64, not {beam}"):
            Enhancer(str(tiny_model), beam=beam)
    with pytest.raises(UsageError, match="`expansion` other is not one of ranked, best"):
        Enhancer(str(tiny_model), expansion="other")


def test_latents_go_through_the_pipeline(tmp_path: Path, small_codec: Path) -> None:
    """A network over latents reads the codec's before quantisation, and the codec decodes its answer."""
    width = load_codec(small_codec, units="latents").spec.units.width
    of_codes = ("codebooks", "codebook_size", "embedding_width")
    config = {key: value for key, value in BASELINE.items() if key not in of_codes} | {"latents": width}
    folder = folder_of(config, small_codec, tmp_path / "model")
    codec, translator = load_codec(small_codec, units="latents"), load_set(Path(folder))
    noisy = np.random.default_rng(0).normal(size=(1, 3000)).astype(np.float32) * 0.1
    wanted = codec.decode(translator.translate([codec.encode(noisy)[0]])[0][None])[:, :3000]
    with Enhancer(folder, device="cpu", chunk=0.4) as enhancer:
        made = enhancer.enhance(noisy, 16000, guard="off")
    np.testing.assert_allclose(made.samples, wanted, atol=1e-5)
