"""Our network against transformers' Llama, over the variants a checkpoint may have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_llama import WriteModel, random_tensors

from dacse_cli.lm.checkpoint import load_language_model

transformers = pytest.importorskip("transformers")
PROMPT = np.random.default_rng(3).integers(0, 41, 23)


def reference_ids(folder: Path, prompt: np.ndarray, steps: int, lo: int, hi: int) -> np.ndarray:
    """Greedy ids within [lo, hi) by transformers' own forward pass, without a cache."""
    model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.from_numpy(prompt)[None]
    with torch.inference_mode():
        for _ in range(steps):
            best = model(ids).logits[:, -1, lo:hi].argmax(-1, keepdim=True) + lo
            ids = torch.cat([ids, best], 1)
    return ids[0, len(prompt) :].numpy()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": True},
        {"num_key_value_heads": 4},
        {"num_key_value_heads": 1},
        {"attention_bias": True, "mlp_bias": True},
        {"head_dim": 16},
        {"rms_norm_eps": 1e-2, "rope_parameters": {"rope_theta": 50.0, "rope_type": "default"}},
        {"hidden_size": 256, "intermediate_size": 400, "head_dim": 64},
    ],
    ids=["gqa", "tied", "mha", "mqa", "bias", "wide-heads", "eps-theta", "packed-weights"],
)
def test_every_variant_writes_what_transformers_writes(
    write_model: WriteModel, changes: dict[str, Any]
) -> None:
    """Fails when one variant takes a wrong turn: shared heads, biases, epsilon, theta, oneDNN packing."""
    folder = write_model(**changes)
    model = load_language_model(folder, dtype="float32")
    ids = model.generate([PROMPT], [30], [(5, 30)])[0]
    np.testing.assert_array_equal(ids, reference_ids(folder, PROMPT, 30, 5, 30))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_near_float32(write_model: WriteModel, dtype: str) -> None:
    """Fails when norms, softmax or logits slip into half precision, or a weight is cast twice."""
    folder = write_model()
    ids = torch.from_numpy(PROMPT)[None]

    def logits(kind: str) -> torch.Tensor:
        model = load_language_model(folder, dtype=kind)
        with torch.inference_mode():
            h = model.network.prefill(ids, model.arena.view(1, ids.shape[1]))
            assert h.dtype is torch.float32
            return h @ model.network.weights.head.t()

    exact, rough = logits("float32"), logits(dtype)
    assert (rough - exact).abs().max() < 0.02 * exact.abs().max()
    assert len(load_language_model(folder, dtype=dtype).generate([PROMPT], [9], [(0, 41)])[0]) == 9


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float16])
def test_half_precision_files_run_in_float32(write_model: WriteModel, stored: torch.dtype) -> None:
    """Fails when the stored precision, not the one asked for, decides how the network computes."""
    folder = write_model()
    halved = {k: v.to(stored) for k, v in load_file(folder / "model.safetensors").items()}
    save_file(halved, folder / "model.safetensors")
    model = load_language_model(folder, dtype="float32")
    assert (model.dtype, model.arena.dtype) == ("float32", torch.float32)
    ids = model.generate([PROMPT], [20], [(5, 30)])[0]
    np.testing.assert_array_equal(ids, reference_ids(folder, PROMPT, 20, 5, 30))


def test_both_ways_of_writing_theta_give_one_model(write_model: WriteModel) -> None:
    """Fails when either spelling of rope theta falls back to the default 10000."""
    new = load_language_model(write_model("new"))
    old_folder = write_model("old", rope_parameters=None, rope_theta=100000.0, rope_scaling=None)
    old = load_language_model(old_folder)
    other = load_language_model(write_model("other", rope_parameters={"rope_theta": 10000.0}))
    assert torch.equal(new.network.rotations, old.network.rotations)
    assert not torch.equal(new.network.rotations, other.network.rotations)


def test_sharded_equals_single(write_model: WriteModel) -> None:
    """Fails when the index is read wrongly or a shard is skipped."""
    single = write_model()
    sharded = write_model("sharded")
    tensors = load_file(sharded / "model.safetensors")
    (sharded / "model.safetensors").unlink()
    names = sorted(tensors)
    weight_map = {}
    for part in range(3):
        file = f"model-0000{part + 1}-of-00003.safetensors"
        save_file({n: tensors[n] for n in names[part::3]}, sharded / file)
        weight_map |= dict.fromkeys(names[part::3], file)
    (sharded / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map})
    )
    expected = load_language_model(single).generate([PROMPT], [20], [(0, 41)])[0]
    np.testing.assert_array_equal(
        load_language_model(sharded).generate([PROMPT], [20], [(0, 41)])[0], expected
    )


def test_a_tied_head_may_be_stored_too(write_model: WriteModel) -> None:
    """Fails when a checkpoint that stores the tied head once more is refused as holding an unknown key."""
    folder = write_model(tie_word_embeddings=True)
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    twice = write_model("twice", tensors, tie_word_embeddings=True)
    expected = load_language_model(folder).generate([PROMPT], [9], [(0, 41)])[0]
    np.testing.assert_array_equal(load_language_model(twice).generate([PROMPT], [9], [(0, 41)])[0], expected)


def test_weights_survive_the_file(write_model: WriteModel) -> None:
    """Fails when weights stay mapped: a file overwritten while a run goes on must not change it."""
    folder = write_model()
    model = load_language_model(folder)
    before = model.generate([PROMPT], [9], [(0, 41)])[0]
    size = (folder / "model.safetensors").stat().st_size
    with (folder / "model.safetensors").open("r+b") as file:
        file.write(bytes(size))
    np.testing.assert_array_equal(model.generate([PROMPT], [9], [(0, 41)])[0], before)


def test_transformers_saves_what_we_load(tmp_path: Path) -> None:
    """Fails when a config of the installed transformers has a form the allow-list does not know."""
    config = transformers.LlamaConfig(
        vocab_size=41, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=128, rope_parameters={"rope_theta": 777.0, "rope_type": "default"},
        tie_word_embeddings=True,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    model = load_language_model(tmp_path)
    assert model.network.shape.rope_theta == 777.0
    assert set(random_tensors(json.loads((tmp_path / "config.json").read_text()))) == set(
        load_file(tmp_path / "model.safetensors")
    )
