"""Checkpoints on disk: nested dicts and lists of tensors and plain values, as one safetensors file.

No pickle: the nesting is JSON in the file's metadata. Independent of the contents of a checkpoint.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dacse_cli.errors import CheckpointError, OutputError
from dacse_cli.files.atomic import commit
from dacse_cli.files.problems import output_error


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write `state` atomically. Raises `OutputError`."""
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_pack(state, tensors))
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(_apart(tensors), part, metadata={"tree": tree})
        _sync(part)
    except OSError as error:
        raise output_error(error, path) from error
    except SafetensorError as error:  # raised for a full disk
        raise OutputError(f"cannot write {path}: {error}") from error
    commit(part, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """The saved state; None where there is none. Raises `CheckpointError` for a damaged file."""
    if not path.exists():
        return None
    with _opened(path) as file:
        state: dict[str, Any] = _unpack(json.loads(file.metadata()["tree"]), file.get_tensor)
        return state


def peek_state(path: Path, key: str) -> Any:
    """One entry without tensors of a saved state; reads no tensors. None where there is no file."""
    if not path.exists():
        return None
    with _opened(path) as file:
        tree = json.loads(file.metadata()["tree"])
        return _unpack(dict(tree["dict"])[key], lambda name: Tensor())


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The checkpoint at `path`; raises `CheckpointError` if it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"the checkpoint {path} is damaged: {error}", hint="Delete it to begin again."
        ) from error


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON that keeps the types of keys and sequences; tensors go by name into `tensors`."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_pack(item, tensors) for item in value]}
    return {"value": value}


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """`tensors`, copied where they share memory (tied weights): safetensors refuses that."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        shared = tensor.untyped_storage().data_ptr() in seen or len(tensor.untyped_storage()) > tensor.nbytes
        seen.add(tensor.untyped_storage().data_ptr())
        apart[name] = tensor.clone() if shared else tensor
    return apart


def _unpack(packed: dict[str, Any], tensor: Callable[[str], Tensor]) -> Any:
    """Inverse of `_pack`."""
    ((kind, value),) = packed.items()
    if kind == "tensor":
        return tensor(value)
    if kind == "dict":
        return {key: _unpack(item, tensor) for key, item in value}
    if kind in ("list", "tuple"):
        items = [_unpack(item, tensor) for item in value]
        return tuple(items) if kind == "tuple" else items
    return value


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
