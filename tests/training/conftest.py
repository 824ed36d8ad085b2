"""A small codec, a small network and a few pairs."""

import json

import pytest
import torch
from training_runs import CODEC, NETWORK, write_pairs
from transformers import DacConfig, DacModel


@pytest.fixture(scope="session")
def small_codec(tmp_path_factory):
    """The folder of an untrained codec: 3 codebooks of 32 codes, 250 frames per second."""
    folder = tmp_path_factory.mktemp("codec") / "codec"
    torch.manual_seed(0)
    DacModel(DacConfig(**CODEC)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def small_network(tmp_path_factory):
    """A config.json without a vocabulary: that is the codec's."""
    path = tmp_path_factory.mktemp("network") / "config.json"
    path.write_text(json.dumps(NETWORK))
    return path


@pytest.fixture(scope="session")
def tone_pairs(tmp_path_factory):
    """Six pairs of 0.1 to 0.15 s."""
    return write_pairs(tmp_path_factory.mktemp("tones"), [1600 + 160 * number for number in range(6)])
