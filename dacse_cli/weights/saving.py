"""Tensors into a model folder that is whole at every moment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dacse_cli.weights.folder import SINGLE

if TYPE_CHECKING:
    from torch import Tensor


def save_tensors(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """`model.safetensors` in `folder`: there is the old file, or the whole new one. Raises `OSError`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    temp = folder / f".{SINGLE}.{os.getpid()}.tmp"
    try:
        temp.touch()
        mode = temp.stat().st_mode  # what the umask allows: safetensors' own is for the owner only
        stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(stored, temp, metadata={"format": "pt"})
        temp.chmod(mode)
        temp.replace(folder / SINGLE)
    except SafetensorError as error:
        raise OSError(f"cannot write {temp}: {error}") from error
    finally:
        temp.unlink(missing_ok=True)


def save_folder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """`config.json` and `model.safetensors` in `folder`, the config last. Raises `OSError`."""
    save_tensors(folder, tensors)
    temp = folder / f".config.json.{os.getpid()}.tmp"
    try:
        temp.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        temp.replace(folder / "config.json")
    finally:
        temp.unlink(missing_ok=True)
