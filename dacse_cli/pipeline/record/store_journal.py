"""The journal of an output that lies in an object store, where nothing can be appended to.

Records are appended to small files on this disk (*segments*), which are put beside the outputs, below
`.dacse/`, as they grow: before any output they announce, and once more at the end. So a run that was killed,
here or on another machine, leaves in the store at least the intent of every output it has put.

Runs on this machine are kept apart by the lock of the local folder. Object stores have no locks: two machines
that run the same part do work twice, but every object is whole.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from pathlib import Path

from dacse_cli.errors import InputError, OutputError
from dacse_cli.pipeline.record.journal import FOLDER, Journal, Recipe
from dacse_cli.pipeline.request.shards import Shard
from dacse_cli.store.store import Store

SEGMENT_BYTES = 1 << 18
"""A segment is put again each time it has grown, so it must stay small; about 400 files' records."""


class CloudJournal(Journal):
    """`output` is a folder on this disk that stands for `store`: its journals are copies of those there.

    In memory: the last record of every output, about 1 kB each, and the size of every object of the output,
    about 0.1 kB each. A shard leaves the records of its sister shards where they are.
    """

    def __init__(self, output: Path, store: Store, shard: Shard | None = None) -> None:
        super().__init__(output, shard)
        self._store, self._shard = store, shard
        self._sizes: dict[str, int] = {}
        self._segment = Path()
        self._pending: set[Path] = set()
        self._lock = threading.Lock()  # of `_pending`
        self._run = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
        self._count = 0

    def _load(self) -> None:
        """Bring the segments of the store here, then read them all. Raises `OutputError`, `UsageError`."""
        local = {path.name: path.stat().st_size for path in self._folder.glob("journal*.jsonl")}
        there = {}
        for entry in self._store.entries():
            if entry.key.startswith(f"{FOLDER}/journal"):
                there[entry.key.removeprefix(f"{FOLDER}/")] = entry
            elif not entry.key.startswith(f"{FOLDER}/"):
                self._sizes[entry.key] = entry.size
        try:
            for name, entry in there.items():
                if entry.size > local.get(name, -1) and not self._is_of_a_sister(name):
                    self._store.fetch(entry, self._folder / name)
        except InputError as error:
            raise OutputError(f"the journal in {self._store.url}: {error.message}") from error
        self._pending = {
            self._folder / name
            for name, size in local.items()
            if name not in there or there[name].size < size  # a run was killed before it had put them
        }
        super()._load()

    def fetch_all(self) -> int:
        """For looking only: read every segment of the store; how many there are."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._load()
        return len(list(self._folder.glob("journal*.jsonl")))

    def size_of(self, key: str) -> int | None:
        """Bytes of an object of the output; None where there is none."""
        return self._sizes.get(key)

    def _is_of_a_sister(self, name: str) -> bool:
        """Whether a segment is of another part of the same whole, which shares no output with this one."""
        if self._shard is None:
            return False
        sisters = range(1, self._shard.count + 1)
        others = (f"journal.{i}-of-{self._shard.count}." for i in sisters if i != self._shard.index)
        return name.startswith(tuple(others))

    def _open(self) -> None:
        self._count += 1
        self._segment = self._folder / f"journal{self._suffix}.{self._run}.{self._count}.jsonl"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        before, self._file = self._file, os.open(self._segment, flags, 0o666)
        if before >= 0:
            os.close(before)

    def _append(
        self, target: Path, state: str, recipe: Recipe, size: int, sha256: str, **more: object
    ) -> None:
        super()._append(target, state, recipe, size, sha256, **more)
        with self._lock:
            self._pending.add(self._segment)
        if os.fstat(self._file).st_size > SEGMENT_BYTES:
            self._open()

    def sync(self) -> None:
        """Put all that is not in the store yet. Raises `OutputError`. For one thread at a time."""
        with self._lock:
            pending, self._pending = self._pending, set()
        try:
            while pending:
                path = min(pending)
                self._store.put_bytes(_read(path), f"{FOLDER}/{path.name}")
                pending.discard(path)
        finally:
            with self._lock:
                self._pending |= pending

    def put(self, path: Path, target: Path) -> None:
        """Put a finished file where `target` stands for. Raises `OutputError`."""
        self._store.put(path, self.key(target))
        self._sizes[self.key(target)] = path.stat().st_size

    def key(self, target: Path) -> str:
        """The key that a target stands for."""
        return Path(self._key(target)).as_posix()

    def name(self, target: Path) -> str:
        """A target as the user knows it."""
        return self._store.name(self.key(target))

    def _exists(self, target: Path) -> bool:
        return self.key(target) in self._sizes

    def _size(self, target: Path) -> int | None:
        return self._sizes.get(self.key(target))

    def _sha256(self, target: Path) -> str | None:
        return self._store.sha256(self.key(target))


def _read(segment: Path) -> bytes:
    """A segment's records so far. Raises `OutputError`."""
    try:
        return segment.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot read {segment}: {error.strerror}") from error
