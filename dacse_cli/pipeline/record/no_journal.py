"""In place of a journal where nothing is remembered: for pipes, and where there is no cache folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.record.records import Record
from dacse_cli.pipeline.record.standing import Standing


class NoJournal:
    """Answers as a `Journal` does; whatever exists is foreign, and keys are whole paths."""

    keeps_chunks = False

    def __init__(self) -> None:
        self.place = LocalPlace(Path())
        self.records: Mapping[str, Record] = {}

    def home(self, target: Path) -> Path:
        """The folder for generated chunks of a target's input, while the target is unfinished."""
        return target.parent

    def key(self, target: Path) -> str:
        """A target's key."""
        return os.fspath(target)

    def standing(self, key: str, *_: object, **__: object) -> Standing:
        """What there is at `key`."""
        if self.place.is_folder(key):
            return Standing.FOLDER
        return Standing.FOREIGN if self.place.exists(key) else Standing.FREE

    def note_run(self, left: int, *, ended: bool) -> None: ...
    def check_place(self) -> None: ...
    def intend(self, *_: object) -> None: ...
    def finish(self, *_: object, **__: object) -> None: ...
    def finish_parts(self, *_: object) -> None: ...
    def fail(self, *_: object) -> None: ...
