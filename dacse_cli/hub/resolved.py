"""A model or codec on this disk: its folder, and a hash of its configuration and weights.

Independent of the Hub and of the cache.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.errors import CheckpointError, CodecError
from dacse_cli.files.problems import reason
from dacse_cli.hub.cache.stamps import Stamps
from dacse_cli.hub.folder import Kind, model_files


@dataclass(frozen=True)
class Resolved:
    """A model or codec on this disk."""

    folder: Path
    name: str
    """The name used by the user or a model card."""
    revision: str | None
    """The commit (40 hex) of a Hub model."""
    sha256: str
    """Stands for the content of config and weights: equal exactly when they are."""
    built_in: bool = False
    kind: Kind = "model"
    note: str | None = None
    """Something the user should know, such as that the Hub could not be asked for a newer version."""


def local_model(folder: Path, name: str, kind: Kind, *, built_in: bool = False) -> Resolved:
    """The model or codec in `folder`. Raises `CheckpointError` or `CodecError` where it cannot be used."""
    files = model_files(folder, kind)
    stamps = Stamps(folder)
    try:
        lines = [f"{_remember(stamps, file)}  {file}\n" for file in files.identity]
    except OSError as error:
        failure = CheckpointError if kind == "model" else CodecError
        raise failure(f"{folder} cannot be read: {reason(error)}") from error
    stamps.save()
    sha256 = hashlib.sha256("".join(lines).encode()).hexdigest()
    return Resolved(folder, name, None, sha256, built_in, kind)


def _remember(stamps: Stamps, file: str) -> str:
    stamps.record(file, sha256 := stamps.sha256(file))
    return sha256
