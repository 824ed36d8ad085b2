"""What an output place remembers: which output was made from what, what failed, and which run is writing.

`.dacse/journal.jsonl` is append-only, one `write` per record. `.dacse/lock` is held as long as a run writes.
Parts of one run write journals of their own (`journal.2-of-4.jsonl`) and read all. A whole run holds the lock
exclusively; parts share it, and each also holds a lock of its own.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import TracebackType

from dacse_cli.errors import LockedError, OutputError
from dacse_cli.files.digest import Between
from dacse_cli.files.locks import is_locked, lock
from dacse_cli.files.problems import reason
from dacse_cli.files.regular import open_own
from dacse_cli.pipeline.record.place import FOLDER, Place, make_own_folder, suffix
from dacse_cli.pipeline.record.records import (
    Recipe,
    Record,
    digest_of,
    parse,
    read_records,
    source_of,
)
from dacse_cli.pipeline.record.standing import Standing
from dacse_cli.pipeline.request.shards import Shard


class Journal:
    """The journal and lock of one place; a context manager. Raises `OutputError`, `LockedError`."""

    def __init__(self, place: Place, shard: Shard | None = None) -> None:
        self.place = place
        self._shard = shard
        self._own = place.folder / FOLDER
        self._records: dict[str, Record] = {}
        self._done: dict[str, Record] = {}
        self._number = 0
        self._segment = Path()
        self._file = -1
        self._locks: list[int] = []

    @classmethod
    def peek(cls, place: Place) -> Journal:
        """Open a place's journal for reading only: takes no lock and writes no record."""
        journal = cls(place)
        journal._load()
        return journal

    def __enter__(self) -> Journal:
        try:
            make_own_folder(self.place.folder)
            self._take_locks()
            self._load()
            self._open()
        except OSError as error:
            self.__exit__(None, None, None)
            raise OutputError(
                f"cannot write in {self.place.folder}: {reason(error)}", hint="Give another output folder."
            ) from error
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in (self._file, *self._locks):
            # if close fails and a record is lost, its output counts as foreign, never as finished
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._file = -1
        self._locks.clear()

    def _take_locks(self) -> None:
        """Take the place's lock: exclusive, or shared by parts of a run, each with a lock of its own."""
        if self._shard is None:
            self._take_lock("lock", alone=True)
            return
        self._take_lock("lock", alone=False)
        self._take_lock(f"lock{suffix(self._shard)}", alone=True)

    def _take_lock(self, name: str, *, alone: bool) -> None:
        path = self._own / name
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
        self._locks.append(descriptor)
        if not lock(descriptor, shared=not alone):
            holder = path.read_text(errors="replace").strip() or "unknown"
            raise LockedError(
                f"another run is writing to {self.place.folder} ({holder})",
                hint="Wait for it, or give another output folder.",
            )
        os.ftruncate(descriptor, 0)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {started}\n".encode())

    def _load(self) -> None:
        self._number, entries = read_records(self.place.journals(self._shard))
        for target, record in entries:
            self._note(target, record)

    def _open(self) -> None:
        """Open the current segment for appending; an incomplete last line is terminated first."""
        self._segment = self.place.segment(self._shard)
        before, self._file = self._file, open_own(self._segment, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        if before >= 0:
            os.close(before)
        if os.lseek(self._file, 0, os.SEEK_END):
            os.lseek(self._file, -1, os.SEEK_END)
            if os.read(self._file, 1) != b"\n":
                os.write(self._file, b"\n")

    @property
    def records(self) -> Mapping[str, Record]:
        """The last record of every target."""
        return self._records

    def home(self, target: Path) -> Path:
        """The folder for generated chunks of a target's input."""
        return self.place.folder

    @property
    def keeps_chunks(self) -> bool:
        """Whether generated chunks stay there when an output is finished."""
        return not self.place.remote

    def key(self, target: Path) -> str:
        """A target's path below the place."""
        return Path(os.path.relpath(target, self.place.folder)).as_posix()

    def standing(
        self,
        key: str,
        recipe: Recipe,
        source: str,
        *,
        strict: bool = False,
        between: Between = None,
    ) -> Standing:
        """The state of the output at `key`, for a job that would make it from `source` by `recipe`.

        With `strict`, an output made from a damaged input does not count as done. Raises what `between`
        raises while a long output is read.
        """
        self._load_records_of(key)
        if self.place.is_folder(key):
            return Standing.FOLDER
        last = self._records.get(key)
        content = cache(partial(self.place.sha256, between=between))  # an output is read once
        if last is not None and last.recipe == recipe and self._is_as_made(key, last, content):
            return Standing.OURS if strict and last.damaged else Standing.DONE
        if not self.place.exists(key):
            return Standing.FREE
        # after an intent that was not carried out, the previous output is still known
        known = [record for record in (last, self._done.get(key)) if record and record.state != "failed"]
        ours = next((record for record in known if self._is_as_made(key, record, content)), None)
        if ours is None:
            return Standing.EDITED if known else Standing.FOREIGN
        same_name = ours.source in (None, source_of(source))
        same_content = (ours.recipe.size, ours.recipe.stamp) == (recipe.size, recipe.stamp)
        return Standing.OURS if same_name or same_content else Standing.OTHER_INPUT

    def _load_records_of(self, key: str) -> None:
        """For journals that do not read all of their records at the start."""

    def _is_as_made(self, key: str, record: Record, content: Callable[[str], str | None]) -> bool:
        """Whether the output that a record describes exists and is unchanged; `content` hashes it."""
        if record.state == "failed":
            return False
        if record.parts:
            parts = [(part, self._done.get(part)) for part in record.parts]
            return all(of is not None and self._is_as_made(part, of, content) for part, of in parts)
        if self.place.size(key) != record.size:
            return False
        if record.state == "done":
            modified = self.place.modified(key)
            if record.made is None or modified is None or modified == record.made:
                return True
        # an intent without its done (a crash after the rename), or a file that was copied or edited
        sha256 = content(key)
        return sha256 is not None and digest_of(sha256) == record.digest

    def intend(self, key: str, recipe: Recipe, source: str, size: int, sha256: str) -> None:
        """Record the output that is about to be published at `key`."""
        self._append(key, "intent", recipe, size, sha256, source=source_of(source))

    def finish(
        self,
        key: str,
        recipe: Recipe,
        source: str,
        size: int,
        sha256: str,
        *,
        damaged: bool = False,
        guard: object = None,
        message: str = "",
    ) -> None:
        """Record that `key` is in place; `guard` is what became of its chunks; `message` is a warning."""
        more = {
            "made": self.place.modified(key),
            "damaged": damaged or None,
            "guard": guard,
            "message": message or None,
        }
        self._append(key, "done", recipe, size, sha256, source=source_of(source), **more)

    def finish_parts(self, key: str, recipe: Recipe, source: str, parts: Sequence[str]) -> None:
        """Record that `key` came out as several files, each of them finished."""
        self._append(key, "done", recipe, 0, "", source=source_of(source), parts=list(parts))

    def note_run(self, left: int, *, ended: bool) -> None:
        """Record that a run begins, or has ended, with `left` inputs to do."""
        self._number += 1
        run = {"run": "ended" if ended else "begun", "left": left, "n": self._number, "time": time.time()}
        self._write(json.dumps(run).encode() + b"\n", "")

    def fail(self, key: str, recipe: Recipe, reason: str, message: str) -> None:
        """Record that `key` could not be made; the next run tries again. A peek writes nothing."""
        if self._file < 0 or self.place.exists(key):  # keep the earlier output's record
            return
        self._append(key, "failed", recipe, 0, "", reason=reason, message=message)

    def check_place(self) -> None:
        """Raise `OutputError` where the folder was moved or replaced since the journal was opened."""
        try:
            moved = not os.path.samestat(os.fstat(self._locks[0]), os.stat(self._own / "lock"))  # noqa: PTH116
        except OSError:
            moved = True
        if moved:
            raise OutputError(f"{self.place.folder} was moved or replaced while this run was writing to it")

    def _append(self, key: str, state: str, recipe: Recipe, size: int, sha256: str, **more: object) -> None:
        self._number += 1
        data = {
            "target": key,
            "state": state,
            "n": self._number,
            "time": round(time.time(), 3),
            "recipe": recipe.as_list(),
            "size": size,
            "sha256": sha256,
            **{name: value for name, value in more.items() if value is not None},
        }
        line = json.dumps(data).encode() + b"\n"
        self._write(line, key)
        entry = parse(line)
        assert entry is not None
        self._note(key, entry[3])

    def _write(self, line: bytes, key: str) -> None:
        """Append one line, which is about the output at `key`. Raises `OutputError`."""
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.place.grown(self._segment, os.fstat(self._file).st_size):
                self._open()
        except OSError as error:
            raise OutputError(f"cannot write the journal in {self._own}: {reason(error)}") from error

    def _note(self, target: str, record: Record) -> None:
        self._records[target] = record
        if record.state == "done":
            self._done[target] = record


def holders(folder: Path) -> list[Path]:
    """Locks of an output folder that runs hold now."""
    return sorted(path for path in (folder / FOLDER).glob("lock*") if is_locked(path))
