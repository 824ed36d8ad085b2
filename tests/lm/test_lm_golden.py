"""The published model's arithmetic, token for token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.generate import LanguageModel

GOLDEN = Path(__file__).parents[1] / "golden"
RANGES = [(5 + c * 1024, 5 + (c + 1) * 1024) for c in range(9)]


def prompt_of(noisy: np.ndarray) -> np.ndarray:
    """bos, codes frame by frame, start_clean."""
    ids = 5 + np.arange(9)[:, None] * 1024 + noisy.astype(np.int64)
    return np.concatenate([[0], ids.T.ravel(), [3]])


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    torch.set_num_threads(1)
    return load_language_model(GOLDEN / "llama", dtype="float32", vocab_size=9221)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return load_file(GOLDEN / "generate.safetensors")


@pytest.mark.parametrize("frames", [1, 7, 40])
def test_greedy_tokens_are_those_of_the_published_code(
    model: LanguageModel, golden: dict[str, np.ndarray], frames: int
) -> None:
    """Fails when theta, rotary pairing, the norm's epsilon, a range or the prompt's position drifts."""
    ids = model.generate([prompt_of(golden[f"noisy_{frames}"])], [9 * frames], RANGES)[0]
    np.testing.assert_array_equal(ids, golden[f"ids_{frames}"])


@pytest.mark.parametrize("frames", [1, 7, 40])
def test_logits_after_the_prompt(model: LanguageModel, golden: dict[str, np.ndarray], frames: int) -> None:
    """Fails when the network is only nearly right: greedy choices forgive errors that logits show."""
    ids = torch.from_numpy(prompt_of(golden[f"noisy_{frames}"]))[None]
    with torch.inference_mode():
        h = model.network.prefill(ids, model.arena.view(1, ids.shape[1]))
        logits = h @ model.network.weights.head.t()
    np.testing.assert_allclose(logits[0].numpy(), golden[f"prefill_last_logits_{frames}"], atol=2e-5)


def test_a_mixed_batch_writes_what_single_runs_write(
    model: LanguageModel, golden: dict[str, np.ndarray]
) -> None:
    """Fails when padding leaks into attention, positions or the order results are handed back in."""
    order = [7, 40, 1, 7]
    found = model.generate([prompt_of(golden[f"noisy_{t}"]) for t in order], [9 * t for t in order], RANGES)
    for frames, ids in zip(order, found, strict=True):
        np.testing.assert_array_equal(ids, golden[f"ids_{frames}"])
