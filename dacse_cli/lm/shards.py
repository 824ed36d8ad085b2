"""Which tensor lies in which safetensors file of a folder, from the headers alone.

Knows files and names, not networks. Only safetensors are ever opened: a pickle in the folder is named in
the error and left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from safetensors import SafetensorError, safe_open

from dacse_cli.errors import CheckpointError
from dacse_cli.lm.shape import read_json

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
DOWNLOAD_AGAIN = "download the model again"


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies. `dtype` as safetensors names it (`F32`, `BF16`, ...)."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


def find_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of the checkpoint in `folder`. Raises `CheckpointError`."""
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(
            f"{folder} holds an adapter (adapter_config.json), not a whole model",
            hint="merge the adapter into its base model and save that",
        )
    if (folder / SINGLE).exists():
        return _read_header(folder / SINGLE)
    if (folder / INDEX).exists():
        return _read_sharded(folder)
    pickles = sorted(
        path.name for path in folder.glob("*") if path.suffix in (".bin", ".pt", ".pth", ".ckpt")
    )
    if pickles:
        raise CheckpointError(
            f"{folder} holds its weights only as {pickles[0]}: only safetensors is loaded",
            hint="convert it with transformers: save_pretrained(folder, safe_serialization=True)",
        )
    raise CheckpointError(f"{folder} has no {SINGLE} and no {INDEX}", hint=DOWNLOAD_AGAIN)


def _read_sharded(folder: Path) -> dict[str, StoredTensor]:
    weight_map = read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{folder / INDEX} has no weight_map")
    found: dict[str, StoredTensor] = {}
    for name in _shard_names(folder, weight_map.values()):
        for key, tensor in _read_header(folder / name).items():
            if weight_map.get(key) != name:
                raise CheckpointError(f"{name} holds {key}, which {INDEX} places in {weight_map.get(key)}")
            found[key] = tensor
    missing = [key for key in weight_map if key not in found]
    if missing:
        raise CheckpointError(f"{weight_map[missing[0]]} lacks {_first(missing)}, which {INDEX} places there")
    return found


def _shard_names(folder: Path, names: Iterable[object]) -> list[str]:
    """Distinct shard names, each proven to be one component inside the folder.

    Files may be links (the Hub's cache is made of them), so it is the name that is judged.
    """
    checked = set()
    for name in names:
        if not (
            isinstance(name, str)
            and name.endswith(".safetensors")
            and name not in (".", "..")
            and PurePosixPath(name).name == name == PureWindowsPath(name).name
            and "\0" not in name
        ):
            raise CheckpointError(f"{folder / INDEX} names a shard outside the folder: {name!r}")
        checked.add(name)
    return sorted(checked)


def _read_header(path: Path) -> dict[str, StoredTensor]:
    if not path.is_file():
        raise CheckpointError(f"{path} is missing", hint=DOWNLOAD_AGAIN)
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            return {
                key: StoredTensor(path, part.get_dtype(), tuple(part.get_shape()))
                for key, part in slices.items()
            }
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is {_diagnose(path, error)}", hint=DOWNLOAD_AGAIN) from error


def _diagnose(path: Path, error: Exception) -> str:
    """What a file that safetensors refuses most likely is, in words."""
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


def _first(names: Iterable[str], count: int = 3) -> str:
    names = sorted(names)
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def compare(
    found: dict[str, StoredTensor],
    expected: dict[str, tuple[int, ...]],
    optional: dict[str, tuple[int, ...]],
) -> None:
    """Raise `CheckpointError` unless names and shapes are those expected, and at most `optional` beside."""
    allowed = optional | expected
    missing, extra = expected.keys() - found.keys(), found.keys() - allowed.keys()
    wrong = [key for key in sorted(allowed.keys() & found.keys()) if found[key].shape != allowed[key]]
    problems = []
    if missing:
        problems.append(f"lacks {_first(missing)}")
    if extra:
        problems.append(f"holds unknown {_first(extra)}")
    if wrong:
        shapes = [f"{key} {list(found[key].shape)} instead of {list(allowed[key])}" for key in wrong]
        problems.append(f"has {_first(shapes)}")
    if problems:
        raise CheckpointError("the checkpoint " + "; it ".join(problems) + " (config.json says otherwise)")
