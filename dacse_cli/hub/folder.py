"""Which files of a local folder make up a model or codec. Looks at names and kinds, never at weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dacse_cli.errors import CheckpointError, CodecError, ModelError
from dacse_cli.hub.manifest import CONFIG, SMALL_FILES
from dacse_cli.weights.folder import INDEX, SINGLE, find_weight_files

Kind = Literal["model", "codec"]

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
        """The files whose content identifies the model."""
        return (CONFIG, *self.weights)


def model_files(folder: Path, kind: Kind) -> ModelFiles:
    """The files of the model in `folder`.

    Raises `CheckpointError` (kind "model") or `CodecError` ("codec") where one is missing, is not a regular
    file, or where the index names a file outside the folder.
    """
    failure = _ERRORS[kind]
    if not folder.is_dir():
        raise failure(f"there is no folder {folder}")
    if not (folder / CONFIG).is_file():
        raise failure(f"{folder} has no {CONFIG}: it is not a {kind} folder")
    small = sorted(name for name in SMALL_FILES if (folder / name).is_file())
    if not (folder / SINGLE).exists() and (folder / INDEX).is_file():
        small.append(INDEX)
    weights = [path.name for path in find_weight_files(folder, failure).files]
    return ModelFiles(tuple(small), tuple(weights))
