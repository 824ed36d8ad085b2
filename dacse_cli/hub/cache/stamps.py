"""Checksums of model files, remembered so that later runs need not read gigabytes again.

A stamp is (size, mtime_ns, sha256) of one file, kept in dacse's own cache folder. A file whose size or time
differs is hashed anew. What cannot be stored is forgotten, and `--verbose` says so: a read-only home costs
time, never safety.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from dacse_cli.errors import LockedError, OutputError
from dacse_cli.files.atomic import write_bytes_atomically
from dacse_cli.files.digest import file_digest, file_sha256
from dacse_cli.files.documents import Limits, read_json
from dacse_cli.files.places import cache_folder

_LIMITS = Limits(size=16 << 20)


@dataclass(frozen=True)
class Stamp:
    """A file as it was when its content was last known. Bytes, nanoseconds, hex."""

    size: int
    mtime_ns: int
    sha256: str


def git_blob_hash(path: Path) -> str:
    """The hash by which git, and so the Hub, knows a small file."""
    head = f"blob {path.stat().st_size}\0".encode()
    return file_digest(path, hashlib.sha1(head, usedforsecurity=False))


def digest_like(path: Path, expected: str) -> str:
    """The file's digest of the kind that `expected` is: sha256 (64 hex) or git blob hash (40)."""
    return file_sha256(path) if len(expected) == 64 else git_blob_hash(path)


class Stamps:
    """The stamps of one model folder. `complete` says that dacse itself fetched all the files it wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()  # not resolved: a snapshot's links must stay links
        self.complete = False
        self._entries: dict[str, Stamp] = {}
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:24]
        cache = cache_folder()
        self._file = cache and cache / "stamps" / f"{name}.json"
        self._load()

    def _load(self) -> None:
        if self._file is None:
            return
        try:
            data = read_json(self._file, _LIMITS)
            entries = {str(name): Stamp(**entry) for name, entry in data["files"].items()}
            if data["folder"] == _text(self.folder):
                self._entries, self.complete = entries, bool(data["complete"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return  # no stamps yet, or not ours: everything is hashed

    def save(self) -> None:
        """Write atomically, if the cache is writable."""
        if self._file is None:
            return
        files = {name: asdict(stamp) for name, stamp in sorted(self._entries.items())}
        data = {"folder": _text(self.folder), "complete": self.complete, "files": files}
        try:
            write_bytes_atomically(self._file, json.dumps(data, indent=1).encode())
        except (OutputError, LockedError) as error:
            logging.getLogger(__name__).info("checksums are not remembered: %s", error)

    def remembered(self, name: str) -> str | None:
        """The sha256 last recorded, even if the file has changed."""
        stamp = self._entries.get(name)
        return stamp.sha256 if stamp else None

    def is_current(self, name: str) -> bool:
        """Whether the file has the size and time of its stamp."""
        now, stamp = (self.folder / name).stat(), self._entries.get(name)
        return stamp is not None and (stamp.size, stamp.mtime_ns) == (now.st_size, now.st_mtime_ns)

    def sha256(self, name: str) -> str:
        """The file's sha256: the recorded one if size and time are unchanged, else computed."""
        return self._entries[name].sha256 if self.is_current(name) else file_sha256(self.folder / name)

    def record(self, name: str, sha256: str) -> None:
        """Record the file's present size and time with this checksum."""
        now = (self.folder / name).stat()
        self._entries[name] = Stamp(now.st_size, now.st_mtime_ns, sha256)

    def distrust(self, name: str) -> None:
        """Have the file hashed next time, and compared with the checksum remembered so far."""
        stamp = self._entries.get(name)
        if stamp:
            self._entries[name] = Stamp(stamp.size, -1, stamp.sha256)


def _text(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
