"""What a step of a training makes the host wait for, counted on the CPU; a GPU would wait as often."""

import json
import traceback
from collections import Counter

import numpy as np
import pytest
import soundfile as sf
import torch
from test_codec_chain import CODEC_RECIPE, WARM_CODEC
from test_mask_chain import RECIPE as MASK_RECIPE
from torch.utils._python_dispatch import TorchDispatchMode
from training_runs import RATE, voice
from typer.testing import CliRunner

from dacse_cli.cli.app import app
from dacse_cli.training.runs import loop
from dacse_cli.training.runs.machine import Machine

READS = {"aten._local_scalar_dense.default", "aten.nonzero.default", "aten.masked_select.default"}
"""Operations whose result or size the host must know."""


class Reads(TorchDispatchMode):
    """Counts them by the line of dacse that asks. The optimizer's counter of steps is always on the host."""

    def __init__(self):
        super().__init__()
        self.lines = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if str(func) in READS:
            frames = traceback.extract_stack()
            if not any("torch/optim" in frame.filename for frame in frames):
                own = [frame for frame in frames if "dacse_cli" in frame.filename]
                self.lines[f"{own[-1].filename.split('dacse_cli/')[-1]}:{own[-1].name}"] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def reads(monkeypatch):
    """Per step of the runs of a test."""
    found, stepped = [], loop.Loop._stepped

    def counted(self, share):
        with Reads() as mode:
            numbers = stepped(self, share)
        found.append(mode.lines)
        return numbers

    monkeypatch.setattr(loop.Loop, "_stepped", counted)
    return found


@pytest.fixture
def sounds(tmp_path):
    """Folders of speech and of noise."""
    rng = np.random.default_rng(0)
    for number in range(4):
        for kind in ("speech", "noise"):
            (tmp_path / kind).mkdir(exist_ok=True)
            sound = voice(RATE, number) if kind == "speech" else 0.1 * rng.standard_normal(RATE)
            sf.write(tmp_path / kind / f"{number}.wav", sound, RATE)
    return tmp_path


def dacse(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output


def test_a_language_model(tmp_path, tone_pairs, small_codec, small_network, reads):
    short = ["stage.steps=4", "stage.rows=2", "stage.frames=16", "data.valid=0.3", "run.bf16=false"]
    words = [word for setting in short for word in ("--set", setting)]
    dacse(
        "train", "lm", tone_pairs, tmp_path / "run", "--codec", small_codec, "--config", small_network, *words
    )
    assert len(reads) == 4
    assert not sum(reads, Counter()), reads


def test_a_codec(tmp_path, sounds, reads):
    recipe = CODEC_RECIPE.replace("steps = 14", "steps = 3").replace("revive_every = 3", "revive_every = 2")
    (tmp_path / "codec.toml").write_text(recipe)
    (tmp_path / "dac.json").write_text(json.dumps(WARM_CODEC))
    dacse("train", "codec", sounds / "speech", tmp_path / "run", "-r", tmp_path / "codec.toml",
          "--config", tmp_path / "dac.json")  # fmt: skip
    assert len(reads) == 7
    assert not sum(reads, Counter()), reads


def test_a_filter(tmp_path, sounds, reads):
    (tmp_path / "mask.toml").write_text(MASK_RECIPE)
    dacse("train", "mask", sounds / "speech", tmp_path / "run", "--noise", sounds / "noise",
          "-r", tmp_path / "mask.toml")  # fmt: skip
    assert len(reads) == 12
    assert not sum(reads, Counter()), reads


def test_batches_reach_a_gpu_through_pinned_memory(monkeypatch):
    """Otherwise the host waits for every copy."""
    calls = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: calls.append("pinned") or tensor)
    monkeypatch.setattr(
        torch.Tensor, "to", lambda tensor, device, non_blocking=False: calls.append(non_blocking) or tensor
    )
    Machine(torch.device("cuda", 0)).tensor(np.zeros(3, np.float32))
    assert calls == ["pinned", True]
