"""Where the finished chunks of unfinished files are kept, on what they depend, and when they go.

The supervisor's side; `engine/chunk_cache.py` reads and writes the files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dacse_cli.audio.atomic import remove_if_stale

FORMAT, VERSION = "dacse-chunks", 1
_SUFFIX = ".chunks"
_MAX_BINDING = 65_536


def work_file(output: Path, target: Path) -> Path:
    """Where the answers for `target` are kept; `output` is the folder that remembers (or the target's)."""
    key = os.path.relpath(target, output)
    return output / ".dacse" / "work" / (_name(key) + _SUFFIX)


def binding(output: Path, target: Path, recipe: list[object]) -> dict[str, Any]:
    """What the supervisor knows of the answers' dependencies: target, input identity, settings."""
    key = os.path.relpath(target, output)
    return {"format": FORMAT, "version": VERSION, "target": key, "recipe": recipe}


def _name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def sweep_kept(
    output: Path, current: Mapping[str, list[object]], finished: Mapping[str, list[object]]
) -> int:
    """Remove kept answers that nobody will ask for; how many files.

    `current` and `finished` are recipes by target: of the inputs as they are now, and of outputs that are
    done. Gone are files that cannot be read, those of finished outputs and those of inputs or settings that
    are others by now. What a run on other inputs has left stays, as does what somebody is writing.
    """
    removed = 0
    with contextlib.suppress(OSError):
        for path in sorted((output / ".dacse" / "work").glob(f"*{_SUFFIX}")):
            bound = _read_binding(path)
            target, recipe = (bound["target"], bound["recipe"]) if bound else ("", None)
            stale = finished.get(target) == recipe or current.get(target, recipe) != recipe
            if bound is None or stale:
                removed += remove_if_stale(path)
    return removed


def _read_binding(path: Path) -> dict[str, Any] | None:
    """What a file says it is bound to; None where it is no file of ours."""
    try:
        with path.open("rb") as file:
            bound = json.loads(file.readline(_MAX_BINDING))
        ours = (bound["format"], bound["version"]) == (FORMAT, VERSION) and isinstance(bound["recipe"], list)
        return bound if ours and _name(bound["target"]) + _SUFFIX == path.name else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def forget(output: Path, target: Path) -> None:
    """The target is finished: what was kept for it goes."""
    with contextlib.suppress(OSError):
        work_file(output, target).unlink()


def tidy(output: Path) -> None:
    """Remove the work folder, and the folder around it, where they are empty."""
    with contextlib.suppress(OSError):
        (output / ".dacse" / "work").rmdir()
        (output / ".dacse").rmdir()
