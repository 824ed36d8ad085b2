"""The folder of a run: locked by one run at a time, and bound to the settings it was started with.

run.json             the run's settings: a later start with other settings is refused
state.safetensors    the last checkpoint: weights, optimizer, step, clock
log.csv              the curve
STAGE/               the best model of each stage, as a folder that `enhance` or a training takes

`stored_settings`, `refuse_changes` and `lock_folder` serve other folders that are extended by later runs.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dacse_cli.errors import LockedError, UsageError
from dacse_cli.files.atomic import write_bytes_atomically
from dacse_cli.files.locks import lock
from dacse_cli.files.problems import output_error

RUN, STATE, LOCK = "run.json", "state.safetensors", ".lock"


def stored_settings(path: Path) -> dict[str, Any] | None:
    """The settings in the file `path`, None where there is none. Raises `UsageError`."""
    try:
        settings = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"{path} holds no settings")
    return settings


def changes(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """Keys of `old` whose values differ in `new`, nested ones with dots.

    Keys that only `new` has are ignored: they did not exist when `old` was written.
    """
    found: list[str] = []
    for key in sorted(old.keys()):
        one, other = new.get(key), old.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += [f"{key}.{inner}" for inner in changes(one, other)]
        elif one != other:
            found.append(key)
    return found


def refuse_changes(path: Path, names: Sequence[str]) -> None:
    """Raise `UsageError` if there are `names`: settings that differ from those in the file `path`."""
    if names:
        raise UsageError(
            f"{path.parent} was begun with other settings: {', '.join(names[:5])} (see {path.name})",
            hint="Use the same settings to continue, or another folder.",
        )


def lock_folder(descriptor: int, folder: Path) -> None:
    """Lock an open file in `folder` until it is closed. Raises `LockedError` if another run holds it."""
    if not lock(descriptor):
        raise LockedError(f"another run is working in {folder}", hint="Wait for it, or use another folder.")


class RunFolder:
    """One run's folder; a context manager that releases it. Only the first process of a launch `writes`."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path, self._writes, self._descriptor = path, writes, -1

    def open(self) -> None:
        """Make the folder and lock it. Raises `OutputError`, `LockedError`."""
        if not self._writes:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise output_error(error, self.path) from error
        lock_folder(self._descriptor, self.path)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def claim(self, settings: Mapping[str, Any], stages: Sequence[Mapping[str, Any]]) -> None:
        """Write the run's settings, or compare them: only stages that have not begun may differ.

        Raises `UsageError`, naming what differs.
        """
        path = self.path / RUN
        settings = {**settings, **{f"stage {number}": stage for number, stage in enumerate(stages, 1)}}
        text = json.dumps(settings, indent=1) + "\n"
        stored = stored_settings(path)
        if stored is not None and (self.path / STATE).exists():
            begun = self.peek("place")["stage"] + 1
            found = changes(json.loads(text), stored)
            refuse_changes(path, [name for name in found if not _is_later(name, begun)])
        if self._writes:
            write_bytes_atomically(path, text.encode())

    def state(self) -> dict[str, Any] | None:
        """The last checkpoint, None where there is none."""
        from dacse_cli.training.runs.state import load_state

        return load_state(self.path / STATE)

    def peek(self, key: str) -> Any:
        """One entry without tensors of the last checkpoint; None where there is no checkpoint."""
        from dacse_cli.training.runs.state import peek_state

        return peek_state(self.path / STATE, key)

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint. Raises `OutputError`."""
        from dacse_cli.training.runs.state import save_state

        save_state(self.path / STATE, state)

    def replace(self, name: str, write: Callable[[Path], None]) -> Path:
        """Let `write` fill a new folder, and replace the folder `name` by it."""
        target, part = self.path / name, self.path / f".{name}.part"
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            write(part)
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
        except OSError as error:
            raise output_error(error, target) from error
        return target


def _is_later(name: str, begun: int) -> bool:
    """Whether a setting belongs to a stage after stage `begun`, counted from 1."""
    part = name.split(".")[0]
    return part.startswith("stage ") and int(part.removeprefix("stage ")) > begun
