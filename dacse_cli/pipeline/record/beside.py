"""What is remembered of single files that are written beside their inputs, or under a name that was given.

Their folders are the user's and get no journal. Records are in dacse's cache, one file for each folder,
without a lock: two commands may write into one folder at once. A record that is lost costs little: its output
counts as foreign, and is not touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from dacse_cli.errors import DacseError
from dacse_cli.files.atomic import write_bytes_atomically
from dacse_cli.files.places import cache_folder
from dacse_cli.files.regular import open_own
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.no_journal import NoJournal
from dacse_cli.pipeline.record.place import LocalPlace, journal_files
from dacse_cli.pipeline.record.records import Recipe, parse, read_records

SLACK = 1000
"""Records that are out of date, above which a file is written anew without them."""


def open_beside() -> Journal | NoJournal:
    """The records of single files; none are kept for a user without a cache folder."""
    cache = cache_folder()
    return NoJournal() if cache is None else Beside(cache / "made")


def is_ours(target: Path) -> bool:
    """Whether a run has written a file of this name: as a single file, or into a folder around it."""
    journal = open_beside()
    if isinstance(journal, Beside) and journal.knows(target):
        return True
    for folder in target.absolute().parents:
        with contextlib.suppress(DacseError, OSError):
            if (
                journal_files(folder)
                and target.absolute().relative_to(folder).as_posix()
                in Journal.peek(LocalPlace(folder)).records
            ):
                return True
    return False


class Beside(Journal):
    """A `Journal` in `home`, whose keys are whole paths. What cannot be written there is not remembered."""

    def __init__(self, home: Path) -> None:
        super().__init__(LocalPlace(Path()))
        self._home = home
        self._read: set[Path] = set()

    def __enter__(self) -> Beside:
        return self

    def home(self, target: Path) -> Path:
        """The folder for generated chunks of a target's input, while the target is unfinished."""
        return target.parent

    @property
    def keeps_chunks(self) -> bool:
        """No: the folder is the user's."""
        return False

    def key(self, target: Path) -> str:
        """A target's key."""
        return os.path.abspath(target)  # noqa: PTH100 - resolves no links, but `..`

    def knows(self, target: Path) -> bool:
        """Whether there is a record of an output of this name."""
        key = self.key(target)
        self._load_records_of(key)
        return key in self._records

    def fail(self, key: str, recipe: Recipe, reason: str, message: str) -> None: ...
    def check_place(self) -> None: ...
    def note_run(self, left: int, *, ended: bool) -> None: ...

    def _load_records_of(self, key: str) -> None:
        folder = Path(key).parent
        if folder in self._read:
            return
        self._read.add(folder)
        path = self._path(folder)
        with contextlib.suppress(DacseError, OSError):
            if path.exists():
                number, entries = read_records([path])
                self._number = max(self._number, number)
                for target, record in entries:
                    self._note(target, record)
                if len(entries) > SLACK + 2 * len(self._records):
                    _shorten(path)

    def _write(self, line: bytes, key: str) -> None:
        path = self._path(Path(key).parent)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = open_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)

    def _path(self, folder: Path) -> Path:
        """The file with the records of a folder."""
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:24]
        return self._home / f"{digest}.jsonl"


def _shorten(path: Path) -> None:
    """Keep the last record of each kind of every output."""
    last: dict[tuple[str, str], bytes] = {}
    for line in path.read_bytes().splitlines(keepends=True):
        if (entry := parse(line)) is not None:
            last.pop((entry[2], entry[3].state), None)  # what comes last stays last
            last[entry[2], entry[3].state] = line
    write_bytes_atomically(path, b"".join(last.values()))
