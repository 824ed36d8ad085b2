"""A small codec and a few pairs for trainings; helpers of the training tests are on the path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "training"))


@pytest.fixture(scope="session")
def small_codec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained codec: 3 codebooks of 32 codes, 250 frames per second."""
    from training_runs import CODEC
    from transformers import DacConfig, DacModel

    folder = tmp_path_factory.mktemp("codec") / "codec"
    torch.manual_seed(0)
    DacModel(DacConfig(**CODEC)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tone_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pairs of 0.1 to 0.15 s."""
    from training_runs import write_pairs

    return write_pairs(tmp_path_factory.mktemp("tones"), [1600 + 160 * number for number in range(6)])
