"""Inputs in object stores, and plans too large for memory: listed once into a file on this disk.

Memory holds one page of keys while listing, and the current wave of jobs afterwards.
"""

from __future__ import annotations

import itertools
import json
import posixpath
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

from dacse_cli.errors import OutputError, UsageError
from dacse_cli.files.problems import reason
from dacse_cli.pipeline.request.collisions import is_input
from dacse_cli.pipeline.request.jobs import Found, Job, make_job
from dacse_cli.store.store import Entry, Store


def find_objects(
    url: str, accepts: Callable[[str], bool], output: Store | None
) -> tuple[Store, Iterator[Found | None]]:
    """The store of `url`, and its inputs; None stands for an object that is not an input.

    Objects below the output are left out. Raises `UsageError` where outputs would overwrite the inputs.
    """
    store, entries = _entries(url)
    left_out = _below(output, store) if output else None

    def found() -> Iterator[Found | None]:
        for entry in entries:
            if left_out is not None and entry.key.startswith(f"{left_out}/"):
                continue
            is_taken = _is_taken(entry.key, accepts)
            if is_taken and entry.key == left_out:
                raise is_input(store.name(entry.key))
            yield Found(Path(posixpath.basename(entry.key)), entry.key, entry) if is_taken else None

    return store, found()


def _entries(url: str) -> tuple[Store, Iterable[Entry]]:
    """What a URL names: a folder and all that is below it, or one object."""
    if not url.endswith("/"):
        folder, _, key = url.rpartition("/")
        if not folder.endswith("/"):  # of `s3://bucket` no object
            store = Store(folder)
            if (entry := store.entry(key)) is not None:
                return store, [entry]
    return (store := Store(url)), store.entries()


def _below(output: Store, inputs: Store) -> str | None:
    """The output's key in an input folder; None if it is not inside."""
    there, here = output.location(), inputs.location()
    if here[: len(there)] == there:
        raise UsageError(
            f"{output.url} holds the inputs; inputs are never written to", hint="Give another output."
        )
    return "/".join(there[len(here) :]) if there[: len(here)] == here else None


def _is_taken(key: str, accepts: Callable[[str], bool]) -> bool:
    """Whether a key is an input: audio or tokens, not hidden, and with a name that is valid on a disk."""
    parts = key.split("/")
    return all(map(_is_name, parts)) and accepts(parts[-1])


def _is_name(part: str) -> bool:
    """Whether a part of a key is the name of a file or folder on this disk that is not hidden."""
    return part != "" and part[0] != "." and "\0" not in part and Path(part).name == part


class JobFile:
    """Jobs in a file on this disk, one line each; `copies` is for objects while they are here.

    The file has no name: no other run can write to it, and it is gone with this object or the process.
    """

    def __init__(self, folder: Path, copies: Path, stores: list[Store]) -> None:
        self._copies, self._stores = copies, stores
        self._file = tempfile.TemporaryFile(  # noqa: SIM115 - closed with this object
            "w+", dir=folder, encoding="utf-8", errors="surrogatepass", newline="\n"
        )
        weakref.finalize(self, self._file.close)

    def write(self, pairs: Iterable[tuple[Found, Path]]) -> int:
        """Write inputs with their targets; returns how many. Raises `OutputError`."""
        count = 0
        try:
            for found, target in pairs:
                entry = found.entry and (*astuple(found.entry),)
                line = (str(found.source), found.relative, entry, found.store, str(target))
                self._file.write(json.dumps(line) + "\n")
                count += 1
            self._file.flush()
        except OSError as error:
            raise OutputError(f"the list of inputs cannot be written: {reason(error)}") from error
        return count

    def waves(self, size: int) -> Iterator[list[Job]]:
        """The jobs, at most `size` at a time, numbered from 0 in each wave. One iteration at a time."""
        self._file.seek(0)
        while lines := list(itertools.islice(self._file, size)):
            yield [self._job(index, *json.loads(line)) for index, line in enumerate(lines)]

    def _job(
        self, index: int, source: str, relative: str, entry: list[Any] | None, store: int, target: str
    ) -> Job:
        found = Found(Path(source), relative, Entry(*entry) if entry else None, store)
        return make_job(index, found, Path(target), self._stores, self._copies)
