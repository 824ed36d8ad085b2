"""Trained networks as model folders: `config.json` and `model.safetensors`, as `save_pretrained` writes them.

For any network. Plain `from_pretrained` of `transformers` loads what `write_network` writes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from dacse_cli.weights.saving import save_tensors


def write_weights(
    folder: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype, halves: Collection[str] = ()
) -> None:
    """`model.safetensors` in `folder`, as `dtype`; the tensors named in `halves` as float16."""
    stored = {name: tensor.to(torch.float16 if name in halves else dtype) for name, tensor in tensors.items()}
    save_tensors(folder, stored)


def write_network(
    folder: Path,
    config: PretrainedConfig,
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype,
    name: str,
    halves: Collection[str] = (),
) -> None:
    """`config.json` and weights of `transformers`' class `name`."""
    write_weights(folder, tensors, dtype, halves)
    config = deepcopy(config)
    config.dtype, config.architectures = dtype, [name]
    config.save_pretrained(folder)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """`values` as readable JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
