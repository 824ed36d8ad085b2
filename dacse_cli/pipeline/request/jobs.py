"""One input and its output, and what identifies an input's content."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.errors import InputError
from dacse_cli.files.problems import reason
from dacse_cli.store.store import Entry, Store
from dacse_cli.tokens.names import MAX_CHANNELS, channel_names, has_token_suffix


@dataclass(frozen=True, slots=True)
class Found:
    """An input and its place in the mirrored tree."""

    source: Path
    """The file; for an object only its name."""
    relative: str
    """Path relative to the named folder, with `/` between the parts."""
    entry: Entry | None = None
    """The object in a store; None for a file on this disk."""
    store: int = -1
    """Which of a plan's stores it is in."""

    @property
    def name(self) -> str:
        """The name for display."""
        return self.entry.key if self.entry else str(self.source)


@dataclass(frozen=True, slots=True)
class Job:
    """Read one file, write another.

    Paths are text: a `Path` takes five times the memory, and a run may have a hundred thousand jobs.
    """

    index: int
    reads: str
    writes: str
    name: str
    """The input as the user knows it."""
    entry: Entry | None = None
    """Set where the input is an object that is fetched to `reads` first."""
    store: Store | None = None

    @property
    def source(self) -> Path:
        """The input on this disk."""
        return Path(self.reads)

    @property
    def target(self) -> Path:
        """The output on this disk."""
        return Path(self.writes)

    @property
    def is_tokens(self) -> bool:
        """Whether the input is a token file."""
        return has_token_suffix(os.path.basename(self.reads))

    @property
    def targets(self) -> list[Path]:
        """All names that its outputs may get: text holds one channel per file."""
        if not self.writes.endswith(".txt"):
            return [self.target]
        return [self.target, *map(self.target.with_name, channel_names(self.target.name, MAX_CHANNELS))]

    @property
    def source_name(self) -> str:
        """The input's name in the journal, the same from every current folder."""
        return self.name if self.entry is not None else os.path.abspath(self.reads)  # noqa: PTH100

    def identity(self) -> tuple[int, int]:
        """Size and stamp of the input's content. Raises `InputError` where it is gone."""
        if self.entry is not None:  # whether it has changed since the listing is checked when it is fetched
            return self.entry.size, self.entry.stamp
        return input_stamp(self.source)

    def fetch(self) -> None:
        """Download an object to this disk. Raises `InputError`, `OSError`."""
        if self.store is not None and self.entry is not None:
            self.store.fetch(self.entry, self.source)

    def discard_copy(self) -> None:
        """Remove the copy that `fetch` made."""
        if self.entry is not None:
            shutil.rmtree(self.source.parent, ignore_errors=True)


def make_job(index: int, found: Found, target: Path, stores: Sequence[Store], copies: Path) -> Job:
    """The job of an input. An object of `stores` is fetched into a folder of its own below `copies`."""
    if found.entry is None:
        source = str(found.source)
        return Job(index, source, str(target), source)
    store = stores[found.store]
    copy = copies / str(index) / found.source.name
    return Job(index, str(copy), str(target), store.name(found.entry.key), found.entry, store)


def input_stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and mtime in ns: the identity of a file's content. `InputError` when it is gone."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InputError("the file is gone", reason="vanished") from None
    except OSError as error:
        raise InputError(f"cannot be read: {reason(error)}", reason="permission") from None
    return status.st_size, status.st_mtime_ns
