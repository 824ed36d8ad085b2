"""What the journals of an output place say, over all runs and parts. Takes no lock."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dacse_cli.errors import NoInputError, OutputError
from dacse_cli.files.problems import reason
from dacse_cli.files.regular import open_own, read_bytes
from dacse_cli.pipeline.record.journal import Journal, holders
from dacse_cli.pipeline.record.place import FOLDER, LocalPlace, Place, journal_files
from dacse_cli.pipeline.record.records import MAX_LINE, parse
from dacse_cli.pipeline.record.store_place import StorePlace
from dacse_cli.store.store import Store
from dacse_cli.store.urls import is_url

_HINT = "Give the OUTPUT of a run of `dacse enhance`, tokenize or detokenize."
_PART = re.compile(r"journal(\.\d+-of-\d+)?\.")


@dataclass(frozen=True)
class Status:
    """State of an output place. Lists hold paths relative to it."""

    finished: int
    finished_bytes: int
    missing: list[str]
    """Finished once, but gone or changed since."""
    failed: list[tuple[str, str]]
    """(output, why) of inputs that failed in their last run."""
    writing: list[str]
    """Runs that are writing now; unknown for an object store."""
    journals: int
    warned: list[tuple[str, str]]
    """(output, warning) of finished files."""
    left: int
    """Inputs that the last runs were stopped before, as far as their journals say."""
    stopped: bool
    """Whether one of them was stopped and is not running now."""


def look(output: str) -> Status:
    """The state of a folder or URL. Raises `NoInputError` where no run has written."""
    if not is_url(output):
        return _account(LocalPlace(Path(output)), output)
    with tempfile.TemporaryDirectory(prefix="dacse-") as folder:
        Path(folder, FOLDER).mkdir()
        return _account(StorePlace(Path(folder), Store(output)), output)


def _account(place: Place, output: str) -> Status:
    records = Journal.peek(place).records
    journals = len(journal_files(place.folder))
    if not journals:
        raise NoInputError(f"{output} holds no journal: no run has written there", hint=_HINT)
    finished, size = 0, 0
    missing: list[str] = []
    failed: list[tuple[str, str]] = []
    warned: list[tuple[str, str]] = []
    for target, record in records.items():
        if record.state == "failed":
            failed.append((target, record.message))
        elif record.parts:
            continue  # its parts have their own records
        elif place.size(target) == record.size:
            finished += 1
            size += record.size
            if record.message:
                warned.append((target, record.message))
        else:
            missing.append(target)
    writing = [line for path in holders(place.folder) for line in _lines(path)]
    runs = last_runs(journal_files(place.folder))
    left = sum(run.left for run in runs)
    sure = not place.remote or any(run.said for run in runs)  # another machine may be at it
    stopped = bool(left) and not writing and sure
    return Status(finished, size, missing, failed, writing, journals, warned, left, stopped)


def _lines(path: Path) -> list[str]:
    try:
        return read_bytes(path, 4096).decode(errors="replace").splitlines()
    except OSError:
        return []


@dataclass
class LastRun:
    """The last run of one part, or of the whole."""

    begun: float
    """When, in seconds since 1970."""
    todo: int
    ended: set[str] = field(default_factory=set)
    """Outputs that it has made, or failed to make."""
    said: int | None = None
    """What it had left at its end; None where it was killed, or runs now."""

    @property
    def left(self) -> int:
        """Inputs that it has not come to."""
        return max(0, self.todo - len(self.ended)) if self.said is None else self.said


def last_runs(journals: Sequence[Path]) -> list[LastRun]:
    """The last run of each part, without parts before the last run of the whole. Raises `OutputError`."""
    last: dict[str, LastRun] = {}
    for path in sorted(journals):
        part = _PART.match(path.name)
        _follow(path, (part and part[1]) or "", last)
    whole = last.get("")
    return [run for run in last.values() if whole is None or run.begun >= whole.begun]


def _follow(path: Path, part: str, last: dict[str, LastRun]) -> None:
    try:
        with open(open_own(path, 0), "rb") as file:
            while line := file.readline(MAX_LINE):
                _take(line, part, last)
    except OSError as error:
        raise OutputError(f"the journal {path} cannot be read: {reason(error)}") from None


def _take(line: bytes, part: str, last: dict[str, LastRun]) -> None:
    if line.startswith(b'{"run"'):
        note = _note_of(line)
        if note is not None and note["run"] == "begun":
            last[part] = LastRun(note["time"], note["left"])
        elif note is not None and part in last:
            last[part].said = note["left"]
    elif part in last and (entry := parse(line)) is not None and entry[3].state != "intent":
        last[part].ended.add(entry[2])


def _note_of(line: bytes) -> dict[str, Any] | None:
    """A line of a whole run; None where it is torn or of another kind."""
    try:
        note = json.loads(line)
        known = note["run"] in ("begun", "ended") and type(note["left"]) is int
        return {**note, "time": float(note["time"])} if known else None
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
