"""Writes tensors into a model folder whose files are complete at every moment."""

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
    """Write `model.safetensors` in `folder`, replacing it only once it is complete. Raises `OSError`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    temp = folder / f".{SINGLE}.{os.getpid()}.tmp"
    try:
        temp.touch()
        mode = temp.stat().st_mode  # as the umask allows; safetensors creates files for the owner only
        stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(stored, temp, metadata={"format": "pt"})
        temp.chmod(mode)
        temp.replace(folder / SINGLE)
    except SafetensorError as error:
        raise OSError(f"cannot write {temp}: {error}") from error
    finally:
        temp.unlink(missing_ok=True)


def save_folder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write `model.safetensors`, then `config.json`, in `folder`. Raises `OSError`."""
    save_tensors(folder, tensors)
    temp = folder / f".config.json.{os.getpid()}.tmp"
    try:
        temp.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        temp.replace(folder / "config.json")
    finally:
        temp.unlink(missing_ok=True)
