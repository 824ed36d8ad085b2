"""Where outputs are stored: an object store, whose objects cannot be appended to.

Journal records go to small files on this disk (*segments*), which are uploaded beside the outputs, below
`.dacse/`, as they grow: before any output they describe, and once more at the end. So a run that was killed,
here or on another machine, leaves in the store at least the intent of every output it has uploaded.

Runs on this machine are kept apart by the lock of the local folder. Object stores have no locks: two machines
that run the same part do work twice, but every object is whole.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from pathlib import Path

from dacse_cli.errors import InputError, OutputError
from dacse_cli.files.digest import Between
from dacse_cli.pipeline.record.place import FOLDER, journal_files, suffix
from dacse_cli.pipeline.request.shards import Shard
from dacse_cli.store.store import Entry, Store

SEGMENT_BYTES = 1 << 18
"""A segment is uploaded again each time it grows, so it must stay small: about 400 files' records."""
MAX_SEGMENTS, MAX_BYTES = 100_000, 4 << 30
"""Segments that are fetched from a store, and their bytes: more than ten runs of a million files write."""
_SEGMENT = re.compile(r"journal[A-Za-z0-9._-]*\.jsonl")


class StorePlace:
    """`folder` is on this disk and stands for `store`: its journals are copies of those there.

    Holds the size of every object of the output in memory, about 0.1 kB each. A part of a run leaves the
    journals of the other parts where they are.
    """

    remote = True

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self._store = folder, store
        self._sizes: dict[str, int] = {}
        self._pending: set[Path] = set()
        self._lock = threading.Lock()  # of `_pending`
        self._run = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
        self._count = 0

    def name(self, key: str) -> str:
        return self._store.name(key)

    def exists(self, key: str) -> bool:
        return key in self._sizes

    def is_folder(self, key: str) -> bool:
        return False

    def size(self, key: str) -> int | None:
        return self._sizes.get(key)

    def modified(self, key: str) -> int | None:
        return None

    def sha256(self, key: str, between: Between = None) -> str | None:
        if between is not None:
            between()
        return self._store.sha256(key)

    def publish(self, temp: Path, key: str) -> None:
        self._store.put(temp, key)
        self._sizes[key] = temp.stat().st_size

    def journals(self, shard: Shard | None) -> list[Path]:
        """Download the segments of the store. Raises `OutputError`, `UsageError`."""
        own = self.folder / FOLDER
        local = {path.name: path.stat().st_size for path in journal_files(self.folder)}
        there = self._listed()
        wanted = {
            name: entry
            for name, entry in there.items()
            if entry.size > local.get(name, -1) and not _is_of_another_part(name, shard)
        }
        size = sum(entry.size for entry in wanted.values())
        if len(wanted) > MAX_SEGMENTS or size > MAX_BYTES:
            what = f"{len(wanted):,} files of {size / 1e6:,.0f} MB"
            raise OutputError(f"the journal in {self._store.url} is {what}, more than dacse reads")
        try:
            for name, entry in wanted.items():
                self._store.fetch(entry, own / name)
        except InputError as error:
            raise OutputError(f"the journal in {self._store.url}: {error.message}") from error
        self._pending = {
            own / name
            for name, size in local.items()
            if name not in there or there[name].size < size  # a run was killed before it had uploaded them
        }
        return journal_files(self.folder)

    def _listed(self) -> dict[str, Entry]:
        """The segments of the store, by names that are safe on this disk; notes the sizes of all outputs."""
        segments = {}
        for entry in self._store.entries():
            name = entry.key.removeprefix(f"{FOLDER}/")
            if name == entry.key:
                self._sizes[entry.key] = entry.size
            elif _SEGMENT.fullmatch(name):
                segments[name] = entry
        return segments

    def segment(self, shard: Shard | None) -> Path:
        self._count += 1
        return self.folder / FOLDER / f"journal{suffix(shard)}.{self._run}.{self._count}.jsonl"

    def grown(self, segment: Path, size: int) -> bool:
        with self._lock:
            self._pending.add(segment)
        return size > SEGMENT_BYTES

    def sync(self) -> None:
        """Upload all segments that have grown. For one thread at a time."""
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


def _is_of_another_part(name: str, shard: Shard | None) -> bool:
    """Whether a segment belongs to another part of the same run, which shares no output with this part."""
    if shard is None:
        return False
    parts = (i for i in range(1, shard.count + 1) if i != shard.index)
    return name.startswith(tuple(f"journal.{i}-of-{shard.count}." for i in parts))


def _read(segment: Path) -> bytes:
    try:
        return segment.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot read {segment}: {error.strerror}") from error
