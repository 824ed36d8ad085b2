"""Inputs in object stores, and plans too large for memory: listed once into a file on this disk.

Memory holds one page of keys while listing, and the current wave of jobs afterwards.
"""

from __future__ import annotations

import itertools
import json
import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

from dacse_cli.errors import UsageError
from dacse_cli.pipeline.request.jobs import Found, Job, make_job
from dacse_cli.store.store import Entry, Store


def find_objects(
    url: str, accepts: Callable[[str], bool], output: str | None
) -> tuple[Store, Iterator[Found | None]]:
    """The store of `url`, and its inputs; None stands for an object that is not an input.

    Objects below the output are left out. Raises `UsageError` where outputs would overwrite the inputs.
    """
    store, entries = _entries(url)
    left_out = _below(output, store.url) if output else None

    def found() -> Iterator[Found | None]:
        for entry in entries:
            if left_out is not None and entry.key.startswith(left_out):
                continue
            name = Path(posixpath.basename(entry.key))
            yield Found(name, entry.key, entry) if _is_taken(entry.key, accepts) else None

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


def _below(output: str, url: str) -> str | None:
    """The output's location in an input folder, as a prefix of keys; None if it is not inside."""
    output = output.rstrip("/")
    if url == output or url.startswith(f"{output}/"):
        raise UsageError(
            f"{output} holds the inputs; inputs are never written to", hint="Give another output."
        )
    return f"{output[len(url) + 1 :]}/" if output.startswith(f"{url}/") else None


def _is_taken(key: str, accepts: Callable[[str], bool]) -> bool:
    """Whether a key is an input: audio or tokens, not hidden, and with a name that is valid on a disk."""
    parts = key.split("/")
    return all(part and not part.startswith(".") for part in parts) and accepts(parts[-1])


class JobFile:
    """Jobs in a file on this disk, one line each; `copies` is for objects while they are here."""

    def __init__(self, path: Path, copies: Path, stores: list[Store]) -> None:
        self._path, self._copies, self._stores = path, copies, stores

    def write(self, pairs: Iterable[tuple[Found, Path]]) -> int:
        """Write inputs with their targets; returns how many."""
        count = 0
        with self._path.open("w", encoding="utf-8", errors="surrogatepass") as file:
            for found, target in pairs:
                entry = found.entry and (*astuple(found.entry),)
                line = (str(found.source), found.relative, entry, found.store, str(target))
                file.write(json.dumps(line) + "\n")
                count += 1
        return count

    def waves(self, size: int) -> Iterator[list[Job]]:
        """The jobs, at most `size` at a time, numbered from 0 in each wave."""
        with self._path.open(encoding="utf-8", errors="surrogatepass") as file:
            while lines := list(itertools.islice(file, size)):
                yield [self._job(index, *json.loads(line)) for index, line in enumerate(lines)]

    def _job(
        self, index: int, source: str, relative: str, entry: list[Any] | None, store: int, target: str
    ) -> Job:
        found = Found(Path(source), relative, Entry(*entry) if entry else None, store)
        return make_job(index, found, Path(target), self._stores, self._copies)
