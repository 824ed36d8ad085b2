"""What the journals of an output place say, over all runs and parts. Takes no lock."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.errors import NoInputError
from dacse_cli.files.regular import read_bytes
from dacse_cli.pipeline.record.journal import Journal, holders
from dacse_cli.pipeline.record.place import FOLDER, LocalPlace, Place, journal_files
from dacse_cli.pipeline.record.store_place import StorePlace
from dacse_cli.store.store import Store
from dacse_cli.store.urls import is_url

_HINT = "Give the OUTPUT of a run of `dacse enhance`, tokenize or detokenize."


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
    finished, size, missing, failed = 0, 0, [], []
    for target, record in records.items():
        if record.state == "failed":
            failed.append((target, record.message))
        elif record.parts:
            continue  # its parts have their own records
        elif place.size(target) == record.size:
            finished += 1
            size += record.size
        else:
            missing.append(target)
    writing = [line for path in holders(place.folder) for line in _lines(path)]
    return Status(finished, size, missing, failed, writing, journals)


def _lines(path: Path) -> list[str]:
    try:
        return read_bytes(path, 4096).decode(errors="replace").splitlines()
    except OSError:
        return []
