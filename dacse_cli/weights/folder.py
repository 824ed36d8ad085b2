"""Which safetensors files hold the weights in a folder. Reads names and the index, opens no weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from dacse_cli.errors import ModelError
from dacse_cli.files.documents import DocumentError, Limits, read_json
from dacse_cli.files.names import quoted

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
ONLY_SAFETENSORS = "Only safetensors is loaded, never a pickle (.bin, .pt, .pth)."
_INDEX_BYTES = 32 << 20


@dataclass(frozen=True)
class WeightFiles:
    """The files of one checkpoint. `placement` is the index: the file of each tensor, if there is one."""

    files: tuple[Path, ...]
    placement: dict[str, str] | None = None


def find_weight_files(folder: Path, failure: type[ModelError]) -> WeightFiles:
    """The safetensors of `folder`, single or sharded. Raises `failure` if any is missing."""
    if (folder / SINGLE).exists():
        return WeightFiles((_present(folder / SINGLE, failure),))
    if not (folder / INDEX).exists():
        raise failure(no_safetensors(str(folder), _names(folder)), hint=ONLY_SAFETENSORS)
    placement = _placement(folder / INDEX, failure)
    files = tuple(_present(folder / name, failure) for name in sorted(set(placement.values())))
    return WeightFiles(files, placement)


def no_safetensors(where: str, names: Iterable[str]) -> str:
    """The message for a folder or repository that has weights only in another form, or none."""
    pickles = sorted(name for name in names if name.endswith(PICKLE_SUFFIXES))
    return f"{where} has no {SINGLE}" + (f", only {', '.join(pickles[:3])}" if pickles else "")


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _present(path: Path, failure: type[ModelError]) -> Path:
    if not path.is_file():
        raise failure(f"{path} is missing or not a regular file", hint="Download the model again.")
    return path


def _placement(index: Path, failure: type[ModelError]) -> dict[str, str]:
    try:
        document = read_json(index, Limits(size=_INDEX_BYTES))
    except FileNotFoundError as error:
        raise failure(f"{index} is missing", hint="Download the model again.") from error
    except DocumentError as error:
        raise failure(f"{index} {error}") from error
    placement = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(placement, dict) or not placement:
        raise failure(f"{index} is not an index of safetensors files")
    for name in placement.values():
        if not _is_shard(name):
            raise failure(f"{index} names {quoted(name)}, which is not a safetensors file beside it")
    return placement


def _is_shard(name: object) -> bool:
    """Whether `name` is one path component. Files may be links, as in the Hub's cache: only names count."""
    if not isinstance(name, str) or "\0" in name or not name.endswith(".safetensors"):
        return False
    return PurePosixPath(name).name == name == PureWindowsPath(name).name
