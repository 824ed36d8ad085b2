"""Where outputs lie: a folder on this disk. `store_place.py` is the same for an object store.

Outputs are named by keys: paths below the place, with `/` between the parts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from dacse_cli.errors import OutputError
from dacse_cli.files.atomic import commit
from dacse_cli.files.digest import Between, file_sha256
from dacse_cli.pipeline.request.shards import Shard

FOLDER = ".dacse"
"""Name of dacse's own folder (journal, locks, cache) in an output folder."""


class Place(Protocol):
    """What the journal and the ledger need from the place where outputs are stored."""

    @property
    def folder(self) -> Path:
        """A folder on this disk: unfinished files, locks and journals are below it."""

    @property
    def remote(self) -> bool:
        """Whether publishing needs a network, so that it runs in parallel with other work."""

    def name(self, key: str) -> str:
        """An output as the user knows it."""

    def exists(self, key: str) -> bool:
        """Whether anything is there, a broken link too."""

    def is_folder(self, key: str) -> bool:
        """Whether a folder is there."""

    def size(self, key: str) -> int | None:
        """Bytes of a file; None where there is none."""

    def modified(self, key: str) -> int | None:
        """Modification time in nanoseconds; None where the place has none."""

    def sha256(self, key: str, between: Between = None) -> str | None:
        """Hash of a file's content; None where there is none. `between`: see `files.digest`."""

    def publish(self, temp: Path, key: str) -> None:
        """Give a finished file its final name. Raises `OutputError`, `InputError` for this one alone."""

    def journals(self, shard: Shard | None) -> list[Path]:
        """The journal files to read, brought to this disk. Raises `OutputError`."""

    def segment(self, shard: Shard | None) -> Path:
        """The journal file to append to."""

    def grown(self, segment: Path, size: int) -> bool:
        """Note that a segment has `size` bytes now; whether a new one is to be started."""

    def sync(self) -> None:
        """Copy all journal records to where other machines can read them. Raises `OutputError`."""


class LocalPlace:
    """A folder on this disk."""

    remote = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def name(self, key: str) -> str:
        return str(self.folder / key)

    def exists(self, key: str) -> bool:
        return os.path.lexists(self.folder / key)

    def is_folder(self, key: str) -> bool:
        path = self.folder / key
        return path.is_dir() and not path.is_symlink()

    def size(self, key: str) -> int | None:
        try:
            return (self.folder / key).stat().st_size
        except OSError:
            return None

    def modified(self, key: str) -> int | None:
        try:
            return (self.folder / key).stat().st_mtime_ns
        except OSError:
            return None

    def sha256(self, key: str, between: Between = None) -> str | None:
        try:
            return file_sha256(self.folder / key, between)
        except OSError:
            return None

    def publish(self, temp: Path, key: str) -> None:
        commit(temp, self.folder / key)

    def journals(self, shard: Shard | None) -> list[Path]:
        return journal_files(self.folder)

    def segment(self, shard: Shard | None) -> Path:
        return self.folder / FOLDER / f"journal{suffix(shard)}.jsonl"

    def grown(self, segment: Path, size: int) -> bool:
        return False

    def sync(self) -> None:
        pass


def journal_files(folder: Path) -> list[Path]:
    """The journal files below an output folder, by name."""
    return sorted((folder / FOLDER).glob("journal*.jsonl"))


def make_own_folder(folder: Path) -> None:
    """Make the `.dacse` folder of an output folder where there is none.

    Raises `OutputError` for a symbolic link: it could lead to files of other users.
    """
    own = folder / FOLDER
    if own.is_symlink():
        raise OutputError(f"{own} is a symbolic link: dacse writes only into a real folder of that name")
    own.mkdir(parents=True, exist_ok=True)


def suffix(shard: Shard | None) -> str:
    """The part of a run as it appears in the names of its journal and lock."""
    return f".{shard.index}-of-{shard.count}" if shard else ""
