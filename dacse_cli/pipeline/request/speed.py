"""How fast earlier runs were on this machine, so that a plan can say how long it will take."""

from __future__ import annotations

import json
import os
from pathlib import Path

MIN_SECONDS = 5.0
"""Of audio: a shorter run says more about loading than about speed."""


def cache_folder() -> Path:
    """Where dacse keeps what it can do without."""
    own = os.environ.get("DACSE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own or Path(base, "dacse"))


def _file() -> Path:
    return cache_folder() / "speed.json"


def recalled(settings: str) -> float | None:
    """Seconds of audio a second in the last run with these models, device and options, if there was one."""
    try:
        value = json.loads(_file().read_bytes()).get(settings)
    except (OSError, ValueError, AttributeError, RuntimeError):
        return None
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def remember(settings: str, seconds: float, elapsed: float) -> bool:
    """Note the speed of a run; False where it was too short or cannot be noted (which harms nothing)."""
    if seconds < MIN_SECONDS or elapsed <= 0:
        return False
    try:
        path = _file()
        path.parent.mkdir(parents=True, exist_ok=True)
        known = json.loads(path.read_bytes()) if path.exists() else {}
        known[settings] = round(seconds / elapsed, 4)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(known))
        part.replace(path)
    except (OSError, ValueError, TypeError, RuntimeError):
        return False
    return True
