"""One folder of an object store: listed page by page, fetched from, put into.

Objects appear atomically: stores make an upload (multi-part, too) visible when it is complete. For file
systems behind a URL without this guarantee (SFTP, SMB, HDFS), the object is written under a temporary name
and then renamed.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dacse_cli.errors import InputError, OutputError, UsageError
from dacse_cli.store.listing import list_objects, modified_of, stamp_of
from dacse_cli.store.retries import Retries

_WHOLE_PUTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "hf", "memory"})
_BLOCK = 1 << 20
_PART_SUFFIX = ".dacse-part"

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """An object: its key below the folder, its size in bytes, and a number that changes with its content."""

    key: str
    size: int
    stamp: int
    modified_ns: int | None = None
    """Modification time, where the store has one."""


class Store:
    """The folder behind `url`. Keys are relative to it, with `/` between their parts.

    Raises `UsageError` where the URL's kind of store is not known or its package is not installed.
    """

    def __init__(self, url: str, retries: Retries | None = None) -> None:
        self.url = url.rstrip("/")
        self._retries = retries or Retries()
        self._fs, self._root = _open(url)
        self._root = self._root.rstrip("/")
        protocol = self._fs.protocol
        names = (protocol,) if isinstance(protocol, str) else protocol
        self._whole = bool(_WHOLE_PUTS.intersection(names))

    def name(self, key: str) -> str:
        """A key as a URL, for display."""
        return f"{self.url}/{key}" if key else self.url

    def location(self) -> tuple[str, ...]:
        """The folder as kind of store, host and the parts of its path: the same for all its URLs."""
        kind = self._fs.protocol
        host = str(self._fs.storage_options.get("host") or "").lower()
        parts = posixpath.normpath(f"/{self._root.lstrip('/')}").split("/")
        return (kind if isinstance(kind, str) else kind[0], host, *filter(None, parts))

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    def entries(self) -> Iterator[Entry]:
        """Every object below the folder. Raises `UsageError`.

        Holds a page of 1,000 on S3, one folder's listing elsewhere.
        """
        try:
            for found in list_objects(self._fs, self._root):
                key = found.path[len(self._root) :].lstrip("/")
                yield Entry(key, found.size, found.stamp, found.modified_ns)
        except Exception as error:
            raise UsageError(f"{self.url} cannot be listed: {_words(error)}") from error

    def entry(self, key: str) -> Entry | None:
        """One object; None where there is none of that name. Raises `UsageError`."""
        try:
            facts = self._fs.info(self._path(key))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise UsageError(f"{self.name(key)} cannot be looked at: {_words(error)}") from error
        if facts["type"] != "file":
            return None
        return Entry(key, int(facts["size"]), stamp_of(facts), modified_of(facts))

    def fetch(self, entry: Entry, path: Path) -> None:
        """Copy an object to `path`. Raises `InputError`: `vanished`, `changed`, `unreachable`."""
        where = self._path(entry.key)

        def copy() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fs.get_file(where, str(path))

        try:
            self._retries.run(copy)
            after = self._retries.run(lambda: self._fs.info(where))
        except FileNotFoundError:
            raise InputError("the object is gone", reason="vanished") from None
        except Exception as error:
            raise InputError(f"cannot be fetched: {_words(error)}", reason="unreachable") from error
        if (int(after["size"]), stamp_of(after)) != (entry.size, entry.stamp):
            raise InputError("the object changed while it was read", reason="changed")

    def put(self, path: Path, key: str) -> None:
        """Copy the file at `path` to `key`, which is seen only when it is whole. Raises `OutputError`."""
        where = self._path(key)
        part = where if self._whole else f"{where}{_PART_SUFFIX}"

        def copy() -> None:
            if not self._whole:
                self._fs.makedirs(posixpath.dirname(where), exist_ok=True)
            self._fs.put_file(str(path), part)
            if part != where:
                self._fs.mv(part, where)

        self._written(key, copy)

    def put_bytes(self, data: bytes, key: str) -> None:
        """Like `put`, for a few bytes; not for stores whose puts can be seen in part."""
        self._written(key, lambda: self._fs.pipe_file(self._path(key), data))

    def _written(self, key: str, act: Callable[[], T]) -> T:
        try:
            return self._retries.run(act)
        except Exception as error:
            raise OutputError(f"cannot write {self.name(key)}: {_words(error)}") from error

    def sha256(self, key: str) -> str | None:
        """Hash of an object's content; None where there is none. Raises `OutputError`."""

        def read() -> str:
            digest = hashlib.sha256()
            with self._fs.open(self._path(key), "rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
            return digest.hexdigest()

        try:
            return self._retries.run(read)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise OutputError(f"cannot read {self.name(key)}: {_words(error)}") from error


def _open(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        hint = "Install the extra: pip install 'dacse[cloud]'."
        raise UsageError(f"{url}: {_first_line(error)}", hint=hint) from None
    except (TypeError, AttributeError, IsADirectoryError) as error:  # a library got less than it needs
        hint = "Write it as fsspec does: github://org:repo@/folder, zip://folder::archive.zip."
        raise UsageError(f"{url} does not say what it is in", hint=hint) from error
    except Exception as error:  # connections and parameters are checked by each library in its own way
        raise UsageError(f"{url} cannot be opened: {_words(error)}") from error
    return fs, str(root)


def _words(error: Exception) -> str:
    """An error of any library as one line."""
    return f"{type(error).__name__}: {_first_line(error)}".removesuffix(": ")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")
