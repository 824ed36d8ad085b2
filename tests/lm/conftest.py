"""A tiny random Llama on disk, written without transformers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dacse_cli.lm.shape import parse_shape

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 41,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
    "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
}
WriteModel = Callable[..., Path]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny products: threads of a busy machine wait for each other instead of working."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_tensors(config: dict[str, Any], seed: int = 0) -> dict[str, torch.Tensor]:
    """Every weight `config` asks for; wide enough that logits differ clearly."""
    rng = torch.Generator().manual_seed(seed)
    tensors = {
        name: torch.randn(shape, generator=rng) * 0.15
        for name, shape in parse_shape(config).tensors().items()
    }
    return {name: 1 + t if name.endswith("norm.weight") else t for name, t in tensors.items()}


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """`write_model(name, tensors=None, **config changes)` -> folder."""

    def write(name: str = "model", tensors: dict[str, torch.Tensor] | None = None, **changes: Any) -> Path:
        config = CONFIG | changes
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        save_file(random_tensors(config) if tensors is None else tensors, folder / "model.safetensors")
        return folder

    return write
