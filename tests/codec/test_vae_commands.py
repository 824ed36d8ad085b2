"""A speech VAE behind `tokenize`, `detokenize` and `inspect`."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from published_vae import tiny_network
from safetensors.torch import save_file

from dacse_cli.api.inspect import inspect
from dacse_cli.interfaces import Latents
from dacse_cli.registry import LoadOptions, kind_of, load_codec, read_spec
from dacse_cli.tokens.files import TokenFile
from dacse_cli.tokens.formats import dump, load


@pytest.fixture
def folder(tmp_path):
    """A speech VAE as dacse keeps it."""
    network = tiny_network()
    folder = tmp_path / "vae"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(network.shape.config()))
    save_file(network.state_dict(), folder / "model.safetensors")
    return folder


def test_the_registry_knows_it(folder):
    """Its kind, that it has latents only, its numbers without weights, and how to load it."""
    kind, config = kind_of(folder, "codec")
    assert (kind.name, kind.latents(config)) == ("dc-speech-vae", True)
    spec = read_spec(kind, folder, "mine")
    assert spec is not None
    assert spec.units == Latents(20)
    assert load_codec(kind, folder, LoadOptions("mine")).spec == spec


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_inspect_of_latents(tmp_path, dtype):
    path = tmp_path / "x.latents.safetensors"
    units = np.ones((2, 20, 3), dtype)
    path.write_bytes(dump(TokenFile(units, "vae", 22050, 4096, 0, 48000, 24000, "x.wav"), "safetensors"))
    facts = inspect(path)
    assert (facts["kind"], facts["width"], facts["frames"], facts["dtype"]) == ("latents", 20, 3, dtype)
    assert "codebook_size" not in facts


@pytest.mark.slow
def test_there_and_back(folder, tmp_path):
    """Latents of both channels, and a file of the original's rate, length and channels."""
    wave = np.random.default_rng(1).normal(0, 0.05, (48000 * 2 + 137, 2)).astype(np.float32)
    soundfile.write(tmp_path / "s.wav", wave, 48000)

    def dacse(*arguments):
        subprocess.run(
            [sys.executable, "-m", "dacse_cli", *arguments, "--codec", "vae"], cwd=tmp_path, check=True
        )

    dacse("tokenize", "s.wav")
    tokens = load((tmp_path / "s.latents.safetensors").read_bytes(), "safetensors")
    assert tokens.units.shape == (2, 20, 11)
    dacse("detokenize", "s.latents.safetensors")
    info = soundfile.info(tmp_path / "s.decoded.wav")
    assert (info.frames, info.samplerate, info.channels) == (len(wave), 48000, 2)
