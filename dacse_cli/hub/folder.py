"""Which files of a local folder make up a model or codec. Looks at names and kinds, never at weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dacse_cli.errors import CheckpointError, CodecError, ModelError
from dacse_cli.hub.manifest import CONFIG, INDEX, SINGLE, SMALL_FILES
from dacse_cli.hub.names import is_inside

Kind = Literal["model", "codec"]
INDEX_LIMIT = 32 << 20
ONLY_SAFETENSORS = "only safetensors is loaded, never a pickle (.bin, .pt, .pth)"

_ERRORS: Mapping[Kind, type[ModelError]] = {"model": CheckpointError, "codec": CodecError}


@dataclass(frozen=True)
class ModelFiles:
    """File names inside one folder: `weights` and the config decide the sound, `small` lists all others."""

    small: tuple[str, ...]
    weights: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every file, small ones first."""
        return self.small + self.weights

    @property
    def identity(self) -> tuple[str, ...]:
        """The files whose content makes it this model and no other."""
        return (CONFIG, *self.weights)


def model_files(folder: Path, kind: Kind) -> ModelFiles:
    """The files of the model in `folder`.

    Raises `CheckpointError` (kind "model") or `CodecError` ("codec") where one is missing, is no regular
    file, or where the index names a file outside the folder.
    """
    failure = _ERRORS[kind]
    if not folder.is_dir():
        raise failure(f"there is no folder {folder}")
    if not (folder / CONFIG).is_file():
        raise failure(f"{folder} has no {CONFIG}: it is not a {kind} folder")
    small = sorted(name for name in SMALL_FILES if (folder / name).is_file())
    if (folder / SINGLE).exists():
        weights = [SINGLE]
    elif (folder / INDEX).is_file():
        small.append(INDEX)
        weights = _shards(folder / INDEX, failure)
    else:
        raise failure(_no_weights(folder), hint=ONLY_SAFETENSORS)
    missing = [name for name in weights if not (folder / name).is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise failure(f"{folder} is incomplete: {missing[0]}{more} missing or no regular file")
    return ModelFiles(tuple(small), tuple(weights))


def _shards(index: Path, failure: type[ModelError]) -> list[str]:
    try:
        if index.stat().st_size > INDEX_LIMIT:
            raise failure(f"{index} is far too large for an index")
        names = set(json.loads(index.read_bytes())["weight_map"].values())
    except OSError as error:
        raise failure(f"{index} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise failure(f"{index} is not a safetensors index") from error
    for name in names:
        if not (isinstance(name, str) and _is_shard(name)):
            raise failure(f"{index} names {name!r:.80}, which is not a safetensors file beside it")
    if not names:
        raise failure(f"{index} names no files")
    return sorted(names)


def _is_shard(name: str) -> bool:
    return is_inside(name) and "/" not in name and name.endswith(".safetensors")


def _no_weights(folder: Path) -> str:
    found = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".ckpt"))
    return f"{folder} has no {SINGLE}" + (f", only {found[0]}" if found else "")
