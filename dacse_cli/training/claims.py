"""What a folder was begun with, kept in it as JSON, and who holds it: who goes on must ask for the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dacse_cli.audio.atomic import lock_file
from dacse_cli.errors import LockedError, UsageError


def begun_with(path: Path) -> dict[str, Any] | None:
    """The settings in the file `path`, None where there is none. Raises `UsageError`."""
    try:
        settings: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    return settings


def refuse_others(path: Path, names: Sequence[str]) -> None:
    """Raise `UsageError` where there are `names`: of settings that differ from those in the file `path`."""
    if names:
        raise UsageError(
            f"{path.parent} was begun with other settings: {', '.join(names[:5])} (see {path.name})",
            hint="Give the same ones to go on, or another folder.",
        )


def differences(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """Keys of `old` whose values differ in `new`, nested ones with dots.

    A key that only `new` has did not exist when `old` was written: it cannot have been otherwise.
    """
    found: list[str] = []
    for key in sorted(old.keys()):
        one, other = new.get(key), old.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += [f"{key}.{inner}" for inner in differences(one, other)]
        elif one != other:
            found.append(key)
    return found


def hold(descriptor: int, folder: Path) -> None:
    """Lock an open file until it is closed. Raises `LockedError` where another run holds the folder by it."""
    if not lock_file(descriptor):
        raise LockedError(f"another run is working in {folder}", hint="Wait for it, or give another folder.")
