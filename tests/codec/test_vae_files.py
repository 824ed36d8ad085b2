"""Files of speech VAEs: ours, the published ones, and what only looks like one."""

from __future__ import annotations

import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from published_vae import GOLDEN, small_network, tiny_network
from safetensors.torch import load_file, save_file

from dacse_cli.codec.loading import load_codec
from dacse_cli.codec.vae.codec import vae_shapes
from dacse_cli.codec.vae.published import VOCODER, Published, autoencoder_shape, vocoder_shape
from dacse_cli.codec.vae.shape import VaeShape, shape_from_config
from dacse_cli.errors import CodecError
from dacse_cli.weights.loading import load_tensors


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A speech VAE as dacse keeps it."""
    folder = tmp_path_factory.mktemp("vae")
    network = tiny_network()
    (folder / "config.json").write_text(json.dumps(network.shape.config()))
    save_file(network.state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture
def published(tmp_path):
    """Both published files with the small models of the golden data."""
    own = load_file(GOLDEN / "autoencoder" / "model.safetensors")
    vocoder = load_file(GOLDEN / "bigvgan" / "model.safetensors")
    torch.save(own, tmp_path / "generator_700000.pt")
    torch.save({"generator": vocoder}, tmp_path / "bigvgan_generator.pt")
    return tmp_path


def test_a_folder_is_read_as_it_was_written(folder):
    codec = load_codec(folder, name="mine")
    assert codec.spec == tiny_network().shape.spec("mine")
    latents = codec.encode(np.zeros((1, 5000), np.float32))
    assert latents.shape == (1, 20, 2)
    half = codec.decode(latents.astype(np.float16))  # as token files may hold them
    np.testing.assert_allclose(half, codec.decode(latents), atol=2e-3)


def test_published_pickles_hold_the_same_tensors(published):
    """Names, values and folding of both forms, without unpickling."""
    found = Published(published / "generator_700000.pt", published / VOCODER)
    shapes = {name: tensor.shape for name, tensor in found.tensors.items()}
    safe = Published(GOLDEN / "autoencoder", GOLDEN / "bigvgan")
    assert shapes == {name: tensor.shape for name, tensor in safe.tensors.items()}
    read = load_tensors(found.tensors, found.read, vae_shapes(safe.shape), CodecError)
    for name, tensor in small_network().state_dict().items():
        assert torch.equal(read[name], tensor), name


def test_another_model_is_not_taken_for_it(published):
    """The released shapes are expected of `.pt` files: smaller weights are refused before they are read."""
    with pytest.raises(CodecError, match="do not fit"):
        load_codec(published / "generator_700000.pt")
    (published / VOCODER).unlink()
    with pytest.raises(CodecError, match=VOCODER):
        load_codec(published / "generator_700000.pt")


class Hostile:
    def __reduce__(self):
        return exec, ("import pathlib; pathlib.Path('ran').write_text('')",)


@pytest.mark.parametrize("damage", ["truncated", "code", "other", "text"])
def test_bad_pickles(published, damage, monkeypatch):
    """One line each, nothing executed."""
    monkeypatch.chdir(published)
    path = published / "generator_700000.pt"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-5000])
    elif damage == "code":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("generator/data.pkl", pickle.dumps({"a": Hostile()}))
    elif damage == "other":
        torch.save({"step": 3, "model": {"a": torch.zeros(3)}}, path)
    else:
        path.write_text("not weights at all")
    with pytest.raises(CodecError) as error:
        Published(path, published / VOCODER)
    assert "\n" not in str(error.value)
    assert not (published / "ran").exists()


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("autoencoder", "channels", [4, 8, 16]),
        ("autoencoder", "latent_channels", 5),
        ("autoencoder", "latent_channels", True),
        ("autoencoder", "encoder_layers", [10**9] * 5),
        ("autoencoder", "surprise", 1),
        ("vocoder", "strides", [4, 4, 4, 2, 2, 2]),
        ("vocoder", "kernels", [7, 8, 4, 4, 4, 4]),
        ("vocoder", "dilations", [1, 3, 5]),
        ("vocoder", "channels", 100),
        ("vocoder", "griffin_lim", 32),
    ],
)
def test_configs_that_cannot_be(part, key, value):
    config = json.loads(json.dumps(VaeShape().config()))
    config[part][key] = value
    with pytest.raises(CodecError, match=part):
        shape_from_config(config, "config.json")


def test_unknown_parts_are_refused():
    with pytest.raises(CodecError, match="flow"):
        shape_from_config({**VaeShape().config(), "flow": {}}, "config.json")


def test_published_configs():
    """The full-size config gives the released shapes; other layers than ours are refused."""
    config = json.loads((GOLDEN / "full_config.json").read_text())
    assert autoencoder_shape(config) == VaeShape().autoencoder
    with pytest.raises(CodecError, match="other layers"):
        autoencoder_shape({**config, "encoder_block_types": ["EfficientViTBlock"] * 5})
    vocoder = json.loads((GOLDEN / "bigvgan" / "config.json").read_text())
    assert vocoder_shape({**vocoder, "upsample_initial_channel": 1536}) == VaeShape().vocoder
    with pytest.raises(CodecError, match="sampling_rate 44100"):
        vocoder_shape({**vocoder, "sampling_rate": 44100})


def test_weights_that_are_not_numbers(folder, tmp_path):
    weights = load_file(folder / "model.safetensors")
    weights["autoencoder.encoder.conv_in.bias"][0] = float("nan")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(CodecError, match=r"conv_in.bias holds NaN"):
        load_codec(tmp_path)
