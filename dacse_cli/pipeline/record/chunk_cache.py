"""Where the finished chunks of unfinished files are kept, what they depend on, and when they are removed.

The supervisor's part: file names and header lines. `engine/chunk_cache.py` reads and writes the chunks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dacse_cli.files.atomic import remove_if_stale
from dacse_cli.files.regular import read_bytes
from dacse_cli.pipeline.record.place import FOLDER
from dacse_cli.pipeline.record.records import Recipe
from dacse_cli.pipeline.wire.messages import Keep

FORMAT, VERSION = "dacse-chunks", 2
_SUFFIX = ".chunks"
_MAX_BINDING = 65_536
"""Bytes of a first line."""


def keep_for(home: Path, target: Path, recipe: Recipe) -> Keep:
    """Where the chunks of `target` are kept. `home` is the folder that remembers."""
    key = os.path.relpath(target, home)
    return Keep(_path(home, key), key, (recipe.size, recipe.stamp, recipe.settings))


def binding(keep: Keep) -> dict[str, Any]:
    """What the supervisor knows of the chunks' dependencies: target, input identity, settings."""
    return {"format": FORMAT, "version": VERSION, "target": keep.target, "recipe": list(keep.recipe)}


def sweep(home: Path, current: Mapping[str, Recipe], finished: Mapping[str, Recipe]) -> int:
    """Remove kept chunks that no run will use; how many files.

    `current` and `finished` are recipes by target: of the inputs as they are now, and of outputs that are
    done. Removed are files that cannot be read, those of finished outputs and those of inputs or settings
    that have changed. What a run on other inputs has left stays, as does what a process is writing.
    """
    removed = 0
    with contextlib.suppress(OSError):
        for path in sorted((home / FOLDER / "work").glob(f"*{_SUFFIX}")):
            bound = _read_binding(path)
            target, recipe = bound or ("", None)
            stale = _as_list(finished.get(target)) == recipe or recipe != _as_list(
                current.get(target), recipe
            )
            if bound is None or stale:
                removed += remove_if_stale(path)
    return removed


def forget(home: Path, target: Path) -> None:
    """Remove the chunks of a finished target."""
    with contextlib.suppress(OSError):
        _path(home, os.path.relpath(target, home)).unlink()


def tidy(home: Path) -> None:
    """Remove the work folder, and the folder around it, where they are empty."""
    with contextlib.suppress(OSError):
        (home / FOLDER / "work").rmdir()
        (home / FOLDER).rmdir()


def _path(home: Path, key: str) -> Path:
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return home / FOLDER / "work" / f"{name}{_SUFFIX}"


def _as_list(recipe: Recipe | None, default: list[object] | None = None) -> list[object] | None:
    return default if recipe is None else recipe.as_list()


def _read_binding(path: Path) -> tuple[str, list[object]] | None:
    """Target and recipe that a file depends on; None where it is not a file of ours."""
    try:
        bound = json.loads(read_bytes(path, _MAX_BINDING)[:_MAX_BINDING].split(b"\n", 1)[0])
        target, recipe = bound["target"], bound["recipe"]
        ours = (bound["format"], bound["version"]) == (FORMAT, VERSION) and isinstance(recipe, list)
        return (target, recipe) if ours and _path(Path(), target).name == path.name else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
