"""The recordings under examples/ are what their script says."""

import importlib.util
import sys

import numpy as np
import pytest
import soundfile as sf


@pytest.fixture(scope="module")
def script():
    from pathlib import Path

    path = Path(__file__).parents[2] / "examples" / "make_noisy.py"
    spec = importlib.util.spec_from_file_location("make_noisy", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_noisy"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_noisy"]


def test_the_script_makes_these_very_files(script, examples):
    """A changed recipe must come with changed recordings; Opus is lossy and only compared in length."""
    for example in script.EXAMPLES:
        clean, noisy = script.mix(example)
        path = examples / "noisy" / example.file
        stored, rate = sf.read(path, always_2d=True)
        reference, _ = sf.read((examples / "clean" / example.file).with_suffix(".flac"))
        assert (rate, stored.shape[::-1]) == (example.rate, noisy.shape)
        assert np.abs(reference - clean).max() < 2**-14
        if example.subtype != "OPUS":
            assert np.abs(stored.T - noisy).max() < (0.02 if example.subtype == "ULAW" else 2**-14)


def test_they_stay_small(examples):
    """The repository carries them for ever: recordings and documents, and the weights of the recipes."""
    sizes = {path: path.stat().st_size for path in examples.rglob("*") if path.is_file()}
    weights = sum(size for path, size in sizes.items() if path.suffix == ".safetensors")
    assert sum(sizes.values()) - weights < 3_500_000
    assert weights < 33_000_000
