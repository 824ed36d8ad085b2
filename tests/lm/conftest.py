"""A tiny random Llama on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_llama import CONFIG, WriteModel, random_tensors


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny products: threads of a busy machine wait for each other instead of working."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
