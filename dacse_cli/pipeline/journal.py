"""What an output folder remembers: which file was made from what, and who is writing now.

`.dacse/journal.jsonl` is append-only, one `write` a record; a torn last line is ignored. An *intent* goes in
before the rename and a *done* after it, so a crash between the two costs nothing: a target that matches its
intent is done. `.dacse/lock` is held with `flock`, which the kernel drops however the process ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from dacse_cli.errors import LockedError, OutputError

FOLDER = ".dacse"


@dataclass(frozen=True)
class Recipe:
    """What decides how an output sounds: input identity, options, models."""

    size: int
    mtime_ns: int
    settings: str
    """Hash over the options that change the sound and over the models' identities."""


def settings_hash(*parts: object) -> str:
    """A short stable hash of JSON-able values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


class Journal:
    """The journal and lock of one output folder; a context manager."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._folder = output / FOLDER
        self._records: dict[str, dict[str, Any]] = {}
        self._file = -1
        self._lock = -1

    @classmethod
    def peek(cls, output: Path) -> Journal:
        """What a folder remembers, for looking only: takes no lock and writes nothing."""
        journal = cls(output)
        journal._records = _load(journal._folder / "journal.jsonl")
        return journal

    def __enter__(self) -> Journal:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._records = _load(self._folder / "journal.jsonl")
            self._file = os.open(self._folder / "journal.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            self._end_torn_line()
        except OSError as error:
            self.__exit__(None, None, None)
            raise OutputError(f"cannot write in {self._output}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1

    def _take_lock(self) -> None:
        path = self._folder / "lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if os.name != "posix":  # there two runs on one folder are not detected
            return
        import fcntl

        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = path.read_text(errors="replace").strip() or "unknown"
            os.close(self._lock)
            self._lock = -1
            raise LockedError(
                f"another run is writing to {self._output} ({holder})",
                hint="Wait for it, or give another output folder.",
            ) from None
        os.ftruncate(self._lock, 0)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        os.write(self._lock, f"process {os.getpid()} on {socket.gethostname()} since {started}\n".encode())

    def _end_torn_line(self) -> None:
        if os.lseek(self._file, 0, os.SEEK_END):
            os.lseek(self._file, -1, os.SEEK_END)
            if os.read(self._file, 1) != b"\n":
                os.write(self._file, b"\n")

    def is_done(self, target: Path, recipe: Recipe) -> bool:
        """Whether `target` is there as this journal wrote it, from this very input and these settings."""
        record = self._records.get(self._key(target))
        if record is None or record["recipe"] != [recipe.size, recipe.mtime_ns, recipe.settings]:
            return False
        return self._is_ours(target, record)

    def is_foreign(self, target: Path) -> bool:
        """Whether `target` exists but is not what this journal wrote: made or changed by somebody else."""
        if not os.path.lexists(target):
            return False
        record = self._records.get(self._key(target))
        return record is None or not self._is_ours(target, record)

    def _is_ours(self, target: Path, record: dict[str, Any]) -> bool:
        try:
            if target.stat().st_size != record["size"]:
                return False
            # an intent without its done: crashed between rename and record
            return record["state"] == "done" or _sha256(target) == str(record["sha256"])
        except OSError:
            return False

    def intend(self, target: Path, recipe: Recipe, size: int, sha256: str) -> None:
        """Record what is about to appear at `target`."""
        self._append(target, "intent", recipe, size, sha256)

    def finish(self, target: Path, recipe: Recipe, size: int, sha256: str) -> None:
        """Record that `target` is in place."""
        self._append(target, "done", recipe, size, sha256)

    def _append(self, target: Path, state: str, recipe: Recipe, size: int, sha256: str) -> None:
        record = {
            "target": self._key(target),
            "state": state,
            "recipe": [recipe.size, recipe.mtime_ns, recipe.settings],
            "size": size,
            "sha256": sha256,
        }
        line = json.dumps(record).encode() + b"\n"
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(28, os.strerror(28))
        except OSError as error:
            raise OutputError(f"cannot write the journal in {self._folder}: {error.strerror}") from error
        self._records[record["target"]] = record  # type: ignore[index]

    def _key(self, target: Path) -> str:
        return os.path.relpath(target, self._output)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _load(path: Path) -> dict[str, dict[str, Any]]:
    """Last record of every target; lines that are torn or foreign are passed over."""
    records: dict[str, dict[str, Any]] = {}
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return records
    for line in lines:
        try:
            record = json.loads(line)
            if isinstance(record["recipe"], list) and isinstance(record["size"], int):
                records[record["target"]] = {
                    key: record[key] for key in ("state", "recipe", "size", "sha256")
                }
        except (ValueError, KeyError, TypeError):
            continue
    return records
