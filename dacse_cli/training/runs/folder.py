"""The folder of a run: held by one run at a time, begun with one recipe, taken up where it was.

run.json             what the run is: a later start with other settings is refused
state.safetensors    the last checkpoint: weights, optimizer, step
log.csv              the curve
STAGE/               the best model of each stage, as a folder that `enhance` or a training takes
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dacse_cli.audio.atomic import output_error, write_bytes_atomically
from dacse_cli.training.claims import begun_with, differences, hold, refuse_others
from dacse_cli.training.loop import load_state, peek_state, save_state

RUN, STATE, LOCK = "run.json", "state.safetensors", ".lock"


class RunFolder:
    """One run's folder; a context manager that holds it. Only the first process of a launch `writes`."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path, self._writes, self._descriptor = path, writes, -1

    def __enter__(self) -> RunFolder:
        if self._writes:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                self._descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise output_error(error, self.path) from error
            hold(self._descriptor, self.path)
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def claim(self, settings: dict[str, Any], stages: Sequence[dict[str, Any]]) -> None:
        """Write what the run is, or compare: only stages that have not begun may differ.

        Raises `UsageError`, naming what else does.
        """
        path = self.path / RUN
        settings = settings | {f"stage {number}": stage for number, stage in enumerate(stages, 1)}
        text = json.dumps(settings, indent=1) + "\n"
        there = begun_with(path)
        if there is not None and (self.path / STATE).exists():
            begun = self.peek("place")["stage"] + 1
            found = differences(json.loads(text), there)
            refuse_others(path, [name for name in found if not _is_later(name, begun)])
        if self._writes:
            write_bytes_atomically(path, text.encode())

    def state(self) -> dict[str, Any] | None:
        """The last checkpoint, None where there is none."""
        return load_state(self.path / STATE)

    def peek(self, key: str) -> Any:
        """One entry of the last checkpoint, which holds no tensors; None where there is none."""
        return peek_state(self.path / STATE, key)

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint. Raises `OutputError`."""
        save_state(self.path / STATE, state)

    def replace(self, name: str, write: Callable[[Path], None]) -> Path:
        """Let `write` fill a new folder and give it the name `name`, in place of what had it."""
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
    """Whether a setting is that of a stage behind stage `begun`, counted from 1."""
    part = name.split(".")[0]
    return part.startswith("stage ") and int(part.removeprefix("stage ")) > begun
