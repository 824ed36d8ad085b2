"""Safetensors files: headers first, then the requested tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from dacse_cli.errors import ModelError
from dacse_cli.weights.folder import INDEX, find_weight_files
from dacse_cli.weights.stored import StoredTensor

if TYPE_CHECKING:
    from torch import Tensor

DOWNLOAD_AGAIN = "Download the model again."
_HEADER_BYTES = 4 << 20
"""Longest header of a file, about 30,000 tensors; the largest checkpoint that dacse runs has 291."""


def find_tensors(folder: Path, failure: type[ModelError]) -> dict[str, StoredTensor]:
    """Every tensor of the checkpoint in `folder`, from the headers alone. Raises `failure`."""
    where = find_weight_files(folder, failure)
    found: dict[str, StoredTensor] = {}
    for path in where.files:
        for name, tensor in read_header(path, failure).items():
            placed = path.name if where.placement is None else where.placement.get(name)
            if placed != path.name:
                raise failure(f"{path.name} holds {name:.200}, which {INDEX} places in {placed}")
            found[name] = tensor
    missing = sorted((where.placement or {}).keys() - found.keys())
    if missing:
        raise failure(f"no file holds {missing[0]:.200}, which {INDEX} names", hint=DOWNLOAD_AGAIN)
    return found


def read_header(path: Path, failure: type[ModelError]) -> dict[str, StoredTensor]:
    """Names, types and shapes in one file. Raises `failure`."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if path.stat().st_size >= length > _HEADER_BYTES:
            raise failure(f"{path} has a header of {length} bytes, more than any checkpoint needs")
        with safe_open(path, framework="numpy") as opened:
            return {
                name: StoredTensor(path, part.get_dtype(), tuple(part.get_shape()))
                for name in opened.keys()  # noqa: SIM118 (not a dict)
                for part in [opened.get_slice(name)]
            }
    except (SafetensorError, OSError) as error:
        raise failure(f"{path} is {_diagnose(path, error)}", hint=DOWNLOAD_AGAIN) from error


def read_tensors(
    found: Mapping[str, StoredTensor], names: Iterable[str], failure: type[ModelError]
) -> dict[str, Tensor]:
    """Tensors `names` of `found` in their stored types, on the CPU. Raises `failure`.

    The tensors are copies: truncating a memory-mapped file later would crash the process.
    """
    by_file: dict[Path, list[str]] = {}
    for name in names:
        by_file.setdefault(found[name].file, []).append(name)
    tensors: dict[str, Tensor] = {}
    for path, own in by_file.items():
        try:
            with safe_open(path, framework="pt") as opened:
                tensors |= {name: opened.get_tensor(name).clone() for name in own}
        except (SafetensorError, OSError) as error:
            raise failure(f"{path} is {_diagnose(path, error)}", hint=DOWNLOAD_AGAIN) from error
    return tensors


def _diagnose(path: Path, error: Exception) -> str:
    """What is most likely wrong with a file that safetensors refuses, in words."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as reason:
        return f"unreadable: {reason.strerror or reason}"
    if not start:
        return "empty"
    if start.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer, not the weights: git-lfs was not installed when it was cloned"
    if start.lstrip()[:1] == b"<":
        return f"a web page, not a safetensors file (starts with {start[:16].decode('ascii', 'replace')!r})"
    if start.startswith((b"PK", b"\x80")):
        return "a pickle, not a safetensors file: only safetensors is loaded"
    return f"damaged or cut short ({error})"
