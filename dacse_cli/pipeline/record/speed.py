"""How fast earlier runs were on this machine, so that a plan can say how long it will take."""

from __future__ import annotations

import json
from pathlib import Path

from dacse_cli.errors import DacseError
from dacse_cli.files.atomic import write_bytes_atomically
from dacse_cli.files.documents import DocumentError, read_json
from dacse_cli.files.places import cache_folder

MIN_SECONDS = 5.0
"""Seconds of audio; the speed of a shorter run depends mostly on loading."""


def recalled(settings: str) -> float | None:
    """Seconds of audio per second in the last run with these models, device and options, if there was one."""
    value = _known().get(settings)
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def remember(settings: str, seconds: float, elapsed: float) -> bool:
    """Note the speed of a run; False where it was too short or cannot be noted (which harms nothing)."""
    path = _file()
    if seconds < MIN_SECONDS or elapsed <= 0 or path is None:
        return False
    known = {**_known(), settings: round(seconds / elapsed, 4)}
    try:
        write_bytes_atomically(path, json.dumps(known).encode())
    except DacseError:
        return False
    return True


def _file() -> Path | None:
    folder = cache_folder()
    return folder / "speed.json" if folder else None


def _known() -> dict[str, object]:
    path = _file()
    try:
        found = read_json(path) if path else {}
    except (OSError, DocumentError):
        return {}
    return found if isinstance(found, dict) else {}
