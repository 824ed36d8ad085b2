"""A mask network's folder: read back as written, and refused with one line where it is not what it says."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dacse_cli.errors import CheckpointError
from dacse_cli.filters.mask.config import MaskConfig
from dacse_cli.filters.mask.load import load_mask, mask_config_values
from dacse_cli.filters.mask.network import MaskNetwork
from dacse_cli.filters.mask.stream import MaskStream

CONFIG = MaskConfig(width=4, dilations=(1, 2))


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_file(MaskNetwork(CONFIG).state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(mask_config_values(CONFIG)))
    return tmp_path


def test_a_folder_is_the_network_that_was_written(folder):
    loaded = load_mask(folder)
    assert (loaded.rate, loaded.guides) == (None, 0)
    assert 0.9 < loaded.lookahead < 2.0
    network = MaskNetwork(CONFIG).eval()
    network.load_state_dict(load_file(folder / "model.safetensors"))
    sound = 0.1 * np.random.default_rng(0).standard_normal((1, 9000)).astype(np.float32)
    streams = (loaded.start(1, 16000), MaskStream(network, 1, 16000))
    made = [np.concatenate([stream.push(sound), stream.finish()], axis=1) for stream in streams]
    assert np.array_equal(*made)


def test_samples_do_not_depend_on_anything_later_than_the_lookahead(folder):
    loaded, rate = load_mask(folder), 16000
    sound = 0.1 * np.random.default_rng(1).standard_normal((1, 4 * rate)).astype(np.float32)
    other = sound.copy()
    other[:, 3 * rate :] = 0.5
    made = []
    for samples in (sound, other):
        stream = loaded.start(1, rate)
        made.append(np.concatenate([stream.push(samples), stream.finish()], axis=1))
    same = 3 * rate - round(loaded.lookahead * rate)
    assert np.array_equal(made[0][:, :same], made[1][:, :same])
    assert not np.array_equal(made[0], made[1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "llama"}, "does not describe a mask network"),
        ({"layers": 3}, "unknown 'layers'"),
        ({"width": 2}, "width must lie between"),
        ({"width": 4.5}, "width must be a whole number"),
        ({"width": True}, "width must be a whole number"),
        ({"dilations": 3}, "dilations must be a list"),
        ({"dilations": [1, "2"]}, "dilations must be a list"),
        ({"width": 8}, "do not fit"),
        ({"filter_taps": [1]}, "must contain 0"),
        ({"dilations": [1024] * 64, "past_taps": 16}, "keep .* numbers per band"),
        ({"dilations": [1024] * 4, "width": 4, "past_taps": 0, "future_taps": 2}, "frames ahead"),
        ({"dilations": [1]}, "blocks.1"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(folder, changes, words):
    values = mask_config_values(CONFIG) | changes
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=words) as refused:
        load_mask(folder)
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, " " * (2 << 20)])
def test_a_config_that_is_none(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError):
        load_mask(folder)


def test_weights_that_are_no_numbers(folder):
    weights = load_file(folder / "model.safetensors")
    weights["place"][0] = torch.nan
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="NaN"):
        load_mask(folder)
