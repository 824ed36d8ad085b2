"""Codec folders, whole and broken in every way the network has been seen to be."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.utils import parametrizations

from dacse_cli.codec.dac.shape import read_shape
from dacse_cli.codec.loading import load_codec
from dacse_cli.errors import CodecError, DeviceError
from dacse_cli.weights.folding import fold_weight_norm


def edit_config(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def edit_weights(folder, change):
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def same_codes(folder, tiny, make_noise):
    samples = make_noise(1, 40 * tiny.shape.hop_length)
    return np.array_equal(load_codec(folder).encode(samples), tiny.encode(samples))


def test_folder_loads_with_false_hop_and_unknown_keys(saved_dac, make_noise):
    """Published snapshots said hop_length 512 for 320; a config may try to run code or name kernels."""
    folder, tiny = saved_dac
    edit_config(folder, hop_length=512, upsampling_ratios=[9], auto_map={"AutoModel": "evil.Evil"}, _x=1)
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    codec = load_codec(folder)
    assert codec.spec.hop_length == 8
    assert codec.spec.name == "dac"
    assert same_codes(folder, tiny, make_noise)


def test_narrow_latent(tmp_path, tiny_dac, make_noise):
    """The 44.1 kHz model of 18 codebooks has 128 latent channels where the config class says 1024."""
    tiny = tiny_dac((2, 4), hidden=6)
    tiny.model.save_pretrained(tmp_path)
    assert read_shape(tmp_path).hidden_size == 6
    assert same_codes(tmp_path, tiny, make_noise)


def test_sharded(saved_dac, make_noise):
    """Large checkpoints come in shards with an index."""
    folder, tiny = saved_dac
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    (folder / "model.safetensors").unlink()
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, keys in parts.items():
        save_file({key: weights[key] for key in keys}, folder / file)
    index = {key: file for file, keys in parts.items() for key in keys}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert same_codes(folder, tiny, make_noise)


@pytest.mark.parametrize("name", ["../a.safetensors", "/etc/a.safetensors", "x\\a.safetensors", "a.bin", 7])
def test_shards_outside_the_folder_are_refused(saved_dac, name):
    """An index that names other folders reads files it has no business with."""
    folder, _ = saved_dac
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(CodecError, match="not a safetensors file beside it"):
        load_codec(folder)


@pytest.mark.parametrize("new_style", [True, False])
def test_weight_norm_is_folded(saved_dac, make_noise, new_style):
    """A model saved in training still has gain and direction apart."""
    folder, tiny = saved_dac

    def split(weights):
        for name in [n for n in weights if "conv" in n and n.endswith(".weight")]:
            weight = weights.pop(name)
            gain = torch.linalg.vector_norm(weight, dim=(1, 2), keepdim=True)
            stem = name.removesuffix(".weight")
            keys = (
                ("parametrizations.weight.original0", "parametrizations.weight.original1")
                if new_style
                else ("weight_g", "weight_v")
            )
            weights[f"{stem}.{keys[0]}"], weights[f"{stem}.{keys[1]}"] = gain, 3 * weight

    edit_weights(folder, split)
    assert same_codes(folder, tiny, make_noise)


@pytest.mark.parametrize("layer", [torch.nn.Conv1d(3, 5, 7), torch.nn.ConvTranspose1d(3, 5, 4)])
def test_folding_is_torchs(layer):
    """For a transposed convolution the first axis is the input channel; folding over another is wrong."""
    normed = parametrizations.weight_norm(layer)
    with torch.no_grad():
        normed.parametrizations.weight.original0.uniform_(0.5, 2)
    folded = fold_weight_norm(
        {f"conv1.{name}": tensor for name, tensor in normed.state_dict().items()}, CodecError
    )
    assert set(folded) == {"conv1.weight", "conv1.bias"}
    torch.testing.assert_close(folded["conv1.weight"], normed.weight.detach(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_run_in_float32(saved_dac, dtype, make_noise):
    """Weights stored narrow must not make the codec compute narrow."""
    folder, _ = saved_dac
    edit_weights(folder, lambda w: w.update({k: v.to(dtype) for k, v in w.items()}))
    codec = load_codec(folder)
    assert {p.dtype for p in codec._network.parameters()} == {torch.float32}
    assert codec.encode(make_noise(1, 80)).shape == (1, 3, 10)


def drop(weights):
    del weights["encoder.conv1.bias"]


def add(weights):
    weights["decoder.extra"] = torch.zeros(1)


def reshape(weights):
    weights["encoder.conv1.bias"] = torch.zeros(5)


def poison(weights):
    weights["encoder.conv1.bias"][0] = float("nan")


def scalar_gain(weights):
    weights["encoder.conv1.weight_v"] = weights.pop("encoder.conv1.weight")
    weights["encoder.conv1.weight_g"] = torch.tensor(1.0)


def lonely_gain(weights):
    weights["encoder.conv1.weight_g"] = torch.ones(4, 1, 1)


def integers(weights):
    weights["encoder.conv1.bias"] = torch.zeros(4, dtype=torch.int32)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (drop, "lacks encoder.conv1.bias"),
        (add, "unexpected decoder.extra"),
        (reshape, r"encoder.conv1.bias is \[5\], not \[4\]"),
        (poison, "encoder.conv1.bias holds NaN"),
        (scalar_gain, r"encoder.conv1.weight_g of shape \[\] does not fit"),
        (lonely_gain, "encoder.conv1.weight_g has no encoder.conv1.weight_v"),
        (integers, "encoder.conv1.bias is I32"),
    ],
)
def test_weights_that_do_not_fit_are_named(saved_dac, change, says):
    """`from_pretrained` fills what is missing with random weights and goes on."""
    folder, _ = saved_dac
    edit_weights(folder, change)
    with pytest.raises(CodecError, match=says):
        load_codec(folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "encodec"}, "'encodec', not a DAC"),
        ({"model_type": None}, "not a DAC"),
        ({"downsampling_ratios": [2, 1]}, "at least 2"),
        ({"downsampling_ratios": "24"}, "not a list"),
        ({"downsampling_ratios": [2, True]}, "at least 2"),
        ({"downsampling_ratios": [60000, 60000]}, "product"),
        ({"downsampling_ratios": []}, "downsampling_ratios"),
        ({"codebook_size": 1000}, "power of two"),
        ({"codebook_size": 65536}, "codebook_size"),
        ({"n_codebooks": 10**9}, "n_codebooks"),
        ({"n_codebooks": True}, "n_codebooks"),
        ({"sampling_rate": "44100"}, "sampling_rate"),
        ({"encoder_hidden_size": 10**9}, "encoder_hidden_size"),
        ({"encoder_hidden_size": "a", "hidden_size": None}, "encoder_hidden_size"),
        ({"decoder_hidden_size": 6}, "halved"),
        ({"n_codebooks": 4}, "lacks quantizer.quantizers.3"),
        ({"encoder_hidden_size": 8}, "do not fit"),
    ],
)
def test_configs_that_cannot_be_are_refused(saved_dac, changes, says):
    """A wrong config either fails deep inside torch, takes all memory, or makes noise."""
    folder, _ = saved_dac
    edit_config(folder, **changes)
    with pytest.raises(CodecError, match=says):
        load_codec(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, " " * (1 << 21)])
def test_config_that_is_no_config(saved_dac, text):
    """Cut, empty, nested or huge config files."""
    folder, _ = saved_dac
    (folder / "config.json").write_text(text)
    with pytest.raises(CodecError, match=r"config\.json"):
        load_codec(folder)


def test_missing_and_damaged_files(saved_dac):
    """No config, truncated weights, a pickle instead: said in words, never opened as a pickle."""
    folder, _ = saved_dac
    weights = folder / "model.safetensors"
    data = weights.read_bytes()
    for content in (b"", data[: len(data) // 2], b"<html>not found</html>"):
        weights.write_bytes(content)
        with pytest.raises(CodecError, match=r"is (empty|damaged|a web page)"):
            load_codec(folder)
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(CodecError, match=r"only pytorch_model\.bin"):
        load_codec(folder)
    (folder / "config.json").unlink()
    with pytest.raises(CodecError, match="cannot be read"):
        load_codec(folder)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_absent_device(saved_dac):
    """A device that is not there is not a damaged codec."""
    with pytest.raises(DeviceError):
        load_codec(saved_dac[0], device="cuda")
