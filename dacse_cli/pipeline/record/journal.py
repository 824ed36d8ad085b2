"""What an output folder remembers: which file was made from what, what failed, and who is writing now.

`.dacse/journal.jsonl` is append-only, one `write` a record; a torn last line is ignored. An *intent* goes in
before the rename and a *done* after it, so a crash between the two costs nothing: a target that matches its
intent is done. `.dacse/lock` is held with `flock`, which the kernel drops however the process ends.

Shards of one run write journals of their own (`journal.2-of-4.jsonl`) and read all. A run over everything
holds the lock alone; shards share it, and each holds a lock of its own besides.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from dacse_cli.errors import LockedError, OutputError
from dacse_cli.pipeline.request.shards import Shard

FOLDER = ".dacse"
Record = dict[str, Any]
_DECISIVE = ("state", "recipe", "size", "parts", "message")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides how an output sounds: input identity, options, models."""

    size: int
    mtime_ns: int
    settings: str
    """Hash over the options that change the sound and over the models' identities."""

    def as_list(self) -> list[object]:
        """As it stands in records."""
        return [self.size, self.mtime_ns, self.settings]


class Journal:
    """The journal and lock of one output folder; a context manager."""

    def __init__(self, output: Path, shard: Shard | None = None) -> None:
        self.output = output
        self._folder = output / FOLDER
        self._suffix = f".{shard.index}-of-{shard.count}" if shard else ""
        self._records: dict[str, Record] = {}
        self._placed: dict[str, Record] = {}
        self._file = -1
        self._locks: list[int] = []

    @classmethod
    def peek(cls, output: Path) -> Journal:
        """What a folder remembers, for looking only: takes no lock and writes nothing."""
        journal = cls(output)
        journal._load()
        return journal

    def __enter__(self) -> Journal:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take_locks()
            self._load()
            self._open()
        except OSError as error:
            self.__exit__(None, None, None)
            raise OutputError(f"cannot write in {self.output}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in (self._file, *self._locks):
            # a record that a failing close may lose makes an output foreign, never wrong
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._file = -1
        self._locks.clear()

    def _open(self) -> None:
        """Get ready to append."""
        path = self._folder / f"journal{self._suffix}.jsonl"
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        self._end_torn_line()

    def _take_locks(self) -> None:
        """The folder's lock: alone, or shared among shards that each hold one of their own too."""
        if not self._suffix:
            self._take_lock("lock", alone=True)
            return
        self._take_lock("lock", alone=False)
        self._take_lock(f"lock{self._suffix}", alone=True)

    def _take_lock(self, name: str, *, alone: bool) -> None:
        path = self._folder / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self._locks.append(descriptor)
        if os.name != "posix":  # there two runs on one folder are not detected
            return
        import fcntl

        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text(errors="replace").strip() or "unknown"
            self.__exit__(None, None, None)
            raise LockedError(
                f"another run is writing to {self.output} ({holder})",
                hint="Wait for it, or give another output folder.",
            ) from None
        except OSError as error:  # some network disks know no locks: then one run a folder is up to the user
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
                raise
        if alone:
            os.ftruncate(descriptor, 0)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {started}\n".encode())

    def _end_torn_line(self) -> None:
        if os.lseek(self._file, 0, os.SEEK_END):
            os.lseek(self._file, -1, os.SEEK_END)
            if os.read(self._file, 1) != b"\n":
                os.write(self._file, b"\n")

    @property
    def records(self) -> Mapping[str, Record]:
        """Of every target the last record, as far as it matters, by its path below the output folder."""
        return self._records

    def is_done(self, target: Path, recipe: Recipe) -> bool:
        """Whether `target` is there as this journal wrote it, from this very input and these settings."""
        record = self._records.get(self._key(target))
        if record is None or record["recipe"] != recipe.as_list():
            return False
        return self._is_ours(target, record)

    def is_foreign(self, target: Path) -> bool:
        """Whether `target` exists but is not what this journal wrote: made or changed by somebody else."""
        if not self._exists(target):
            return False
        # after an intent that came to nothing the file that stood there before is still ours
        known = (self._records.get(self._key(target)), self._placed.get(self._key(target)))
        return not any(record and self._is_ours(target, record) for record in known)

    def _is_ours(self, target: Path, record: Record) -> bool:
        if record["state"] == "failed":
            return False
        if parts := record.get("parts"):
            return all(self._has_part(part) for part in parts)
        if self._size(target) != record["size"]:
            return False
        # an intent without its done: crashed between rename and record
        return record["state"] == "done" or self._sha256(target) == str(record["sha256"])

    def _exists(self, target: Path) -> bool:
        """Whether anything stands at `target`, a broken link too."""
        return os.path.lexists(target)

    def _size(self, target: Path) -> int | None:
        """Bytes of a finished output; None where it is gone."""
        try:
            return target.stat().st_size
        except OSError:
            return None

    def _sha256(self, target: Path) -> str | None:
        """Hash of a finished output; None where it cannot be read."""
        try:
            return _sha256(target)
        except OSError:
            return None

    def _has_part(self, part: str) -> bool:
        record = self._placed.get(part)
        return record is not None and self._is_ours(self.output / part, record)

    def intend(self, target: Path, recipe: Recipe, size: int, sha256: str) -> None:
        """Record what is about to appear at `target`."""
        self._append(target, "intent", recipe, size, sha256)

    def finish(
        self, target: Path, recipe: Recipe, size: int, sha256: str, guard: Record | None = None
    ) -> None:
        """Record that `target` is in place, and what the guard says of it."""
        more = {"guard": guard} if guard else {}
        self._append(target, "done", recipe, size, sha256, **more)

    def finish_parts(self, target: Path, recipe: Recipe, parts: Sequence[Path]) -> None:
        """Record that `target` came out as several files, each of them finished."""
        self._append(target, "done", recipe, 0, "", parts=[self._key(part) for part in parts])

    def fail(self, target: Path, recipe: Recipe, reason: str, message: str) -> None:
        """Record that `target` could not be made; the next run tries again. A peek writes nothing."""
        if self._file < 0 or self._exists(target):  # of an earlier input: what is known of it stays
            return
        self._append(target, "failed", recipe, 0, "", reason=reason, message=message)

    def _append(
        self, target: Path, state: str, recipe: Recipe, size: int, sha256: str, **more: object
    ) -> None:
        record: Record = {
            "target": self._key(target),
            "state": state,
            "time": round(time.time(), 3),
            "recipe": recipe.as_list(),
            "size": size,
            "sha256": sha256,
            **more,
        }
        line = json.dumps(record).encode() + b"\n"
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OutputError(f"cannot write the journal in {self._folder}: {error.strerror}") from error
        self._note(record)

    def _load(self) -> None:
        for record in _load_all(self._folder):
            self._note(record)

    def _note(self, record: Record) -> None:
        """Hold what decisions rest on; there may be a million records."""
        done = record["state"] == "done"
        names = _DECISIVE if done else (*_DECISIVE, "sha256")
        self._records[record["target"]] = held = {name: record[name] for name in names if name in record}
        if done:
            self._placed[record["target"]] = held

    def _key(self, target: Path) -> str:
        return os.path.relpath(target, self.output)


def holders(output: Path) -> list[Path]:
    """Locks of an output folder that runs are holding for themselves now."""
    return sorted(path for path in (output / FOLDER).glob("lock*") if _is_held(path))


def _is_held(path: Path) -> bool:
    if os.name != "posix":
        return False
    import fcntl

    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # gone meanwhile, or on a disk that knows no locks
        return False
    return False


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _load_all(folder: Path) -> list[Record]:
    """The records of all journals of a folder, oldest first."""
    paths = sorted(folder.glob("journal*.jsonl"))
    records = [record for path in paths for record in _load(path)]
    if len(paths) > 1:
        records.sort(key=lambda record: float(record.get("time", 0)))  # stable: order within a file stays
    return records


def _load(path: Path) -> Iterator[Record]:
    """Records of one journal; lines that are torn or foreign are passed over."""
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
                whole = isinstance(record["recipe"], list) and isinstance(record["size"], int)
                if whole and {"target", "state", "sha256"} <= record.keys():
                    yield record
            except (ValueError, KeyError, TypeError):
                continue  # cut by a crash: at worst an output counts as foreign, and is not touched
