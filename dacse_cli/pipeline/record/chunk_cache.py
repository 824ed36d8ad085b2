"""Where generated chunks are kept, what they depend on, and when they are removed.

A stopped run resumes from them. In an output folder they stay when the output is finished: another strength,
loudness, rate or format of the same input then needs no run of the language model. Nine codebooks of 10 bits
at 86 frames per second, stored in 16 bits each, are 1.6 kB per second of audio.

This module makes file names and header lines, for the supervisor; `engine/chunk_cache.py` reads and writes
the chunks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dacse_cli.files.atomic import remove_if_stale
from dacse_cli.files.regular import read_bytes
from dacse_cli.pipeline.record.place import FOLDER
from dacse_cli.pipeline.record.records import Recipe
from dacse_cli.pipeline.wire.messages import Keep

FORMAT, VERSION = "dacse-chunks", 3
_SUFFIX = ".chunks"
_MAX_BINDING = 65_536
"""Most bytes in a header line."""


def keep_for(home: Path, source: str, recipe: Recipe, *, lasting: bool) -> Keep:
    """Where the chunks of an input are stored. `home` is the folder that holds the journal."""
    return Keep(_path(home, source), source, (recipe.size, recipe.stamp, recipe.settings), lasting)


def binding(keep: Keep) -> dict[str, Any]:
    """The dependencies of chunks that the supervisor supplies: input and its identity, models and options."""
    return {"format": FORMAT, "version": VERSION, "source": keep.source, "recipe": list(keep.recipe)}


def sweep(home: Path, current: Mapping[str, Recipe]) -> int:
    """Remove kept chunks that no run will use; how many files.

    `current` are the recipes by input as they are now. Removed are files that cannot be read, and those of
    inputs or models that have changed. Files of inputs outside this run and files being written are kept.
    """
    removed = 0
    with contextlib.suppress(OSError):
        for path in sorted((home / FOLDER / "work").glob(f"*{_SUFFIX}")):
            bound = _read_binding(path)
            now = current.get(bound[0]) if bound else None
            if bound is None or (now is not None and now.as_list() != bound[1]):
                removed += remove_if_stale(path)
    return removed


def forget(home: Path, source: str) -> None:
    """Remove the chunks of an input."""
    with contextlib.suppress(OSError):
        _path(home, source).unlink()


def tidy(home: Path) -> None:
    """Remove the work folder, and the folder around it, where they are empty."""
    with contextlib.suppress(OSError):
        (home / FOLDER / "work").rmdir()
        (home / FOLDER).rmdir()


def _path(home: Path, source: str) -> Path:
    name = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return home / FOLDER / "work" / f"{name}{_SUFFIX}"


def _read_binding(path: Path) -> tuple[str, list[object]] | None:
    """Input and recipe that a file depends on; None where it is not a chunk cache file."""
    try:
        bound = json.loads(read_bytes(path, _MAX_BINDING)[:_MAX_BINDING].split(b"\n", 1)[0])
        source, recipe = bound["source"], bound["recipe"]
        ours = (bound["format"], bound["version"]) == (FORMAT, VERSION) and isinstance(recipe, list)
        return (source, recipe) if ours and _path(Path(), source).name == path.name else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
