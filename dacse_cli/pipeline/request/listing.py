"""What is to be done, listed once into a file on this disk: a run over millions of keys holds one wave.

In memory are, while listing, one page of keys and eight bytes a key, in the end twice that (to find two that
would write one output); afterwards the wave that is worked on.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.errors import NoInputError, UsageError
from dacse_cli.pipeline.request.inputs import Found, choose, find_inputs, matches_any
from dacse_cli.pipeline.request.plan import accepts, namer
from dacse_cli.pipeline.request.request import Request
from dacse_cli.store.store import Entry, Store
from dacse_cli.store.urls import is_url


@dataclass(frozen=True)
class Item:
    """One input: which store it is in (None: this disk), what it is called there, where its output goes."""

    store: int | None
    entry: Entry
    """The key is a path where there is no store; size and stamp are 0 then."""
    target: str
    """Below the output, with `/` between parts."""

    @property
    def base(self) -> str:
        """The input's name without its folders."""
        return posixpath.basename(self.entry.key)


@dataclass
class Manifest:
    """All inputs of a run, in a file."""

    path: Path
    stores: list[Store]
    count: int = 0
    ignored: int = 0

    def items(self) -> Iterator[Item]:
        """Every input, in order."""
        with self.path.open(encoding="utf-8", errors="surrogatepass") as file:
            for line in file:
                store, key, size, stamp, target = json.loads(line)
                yield Item(store, Entry(key, size, stamp), target)

    def waves(self, size: int) -> Iterator[list[Item]]:
        """The inputs, at most `size` at a time."""
        wave: list[Item] = []
        for item in self.items():
            wave.append(item)
            if len(wave) == size:
                yield wave
                wave = []
        if wave:
            yield wave

    def named(self, item: Item) -> str:
        """An input as the user knows it."""
        return item.entry.key if item.store is None else self.stores[item.store].name(item.entry.key)


def list_inputs(request: Request, path: Path, fold_case: bool) -> Manifest:
    """List everything the request names into the file `path`.

    `fold_case`: whether names that differ only in case are one name where the output goes. Raises
    `UsageError` where two inputs would write one output, `NoInputError` where there is none.
    """
    manifest = Manifest(path, [])
    hashes = array("Q")
    with path.open("w", encoding="utf-8", errors="surrogatepass") as file:
        for relative, item in _all_items(request, manifest):
            hashes.append(_hash(item.target, fold_case))
            if manifest.count == request.limit:
                break
            if request.shard is None or request.shard.holds(relative):
                manifest.count += 1
                facts = (item.store, item.entry.key, item.entry.size, item.entry.stamp, item.target)
                file.write(json.dumps(facts) + "\n")
    if not hashes:
        raise NoInputError(f"no audio files in {', '.join(request.inputs)}")
    _refuse_collisions(request, manifest, hashes, fold_case)
    return manifest


def _all_items(request: Request, manifest: Manifest) -> Iterator[tuple[str, Item]]:
    """Each input with its place in the mirrored tree."""
    name = namer(request)

    def placed(store: int | None, entry: Entry, relative: str) -> tuple[str, Item]:
        folder, base = posixpath.split(relative)
        return relative, Item(store, entry, posixpath.join(folder, name(Found(Path(base), relative))))

    local = [given for given in request.inputs if not is_url(given)]
    if local:
        found = find_inputs(local, accepts(request.form))
        if request.filters or request.settled is not None:
            choose(found, request.filters, request.settled)
        manifest.ignored += found.ignored
        for file in found.files:
            yield placed(None, Entry(str(file.source), 0, 0), Path(file.relative).as_posix())
    for url in filter(is_url, request.inputs):
        store, entries = _entries(url)
        manifest.stores.append(store)
        left_out = _below(str(request.output), store.url)
        for entry in entries:
            if left_out is not None and entry.key.startswith(left_out):
                continue
            if _is_taken(entry.key, accepts(request.form)) and _is_chosen(entry.key, request):
                yield placed(len(manifest.stores) - 1, entry, entry.key)
            else:
                manifest.ignored += 1


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
    """Where below an input folder the output lies, as a prefix of keys; None if not there.

    Raises `UsageError` where the outputs would take the inputs' names.
    """
    output = output.rstrip("/")
    if url == output or url.startswith(f"{output}/"):
        raise UsageError(
            f"{output} holds the inputs; inputs are never written to", hint="Give another output."
        )
    return f"{output[len(url) + 1 :]}/" if output.startswith(f"{url}/") else None


def _is_taken(key: str, accept: Callable[[str], bool]) -> bool:
    """Whether a key is an input: audio or tokens, nothing hidden, and a name that a disk can have, too."""
    parts = key.split("/")
    return all(part and not part.startswith(".") for part in parts) and accept(parts[-1])


def _is_chosen(key: str, request: Request) -> bool:
    found = Found(Path(posixpath.basename(key)), key)
    return not request.filters or matches_any(found, request.filters)


def _hash(target: str, fold_case: bool) -> int:
    name = unicodedata.normalize("NFC", target).casefold() if fold_case else target
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _refuse_collisions(request: Request, manifest: Manifest, hashes: array[int], fold_case: bool) -> None:
    import numpy as np

    ordered = np.sort(np.frombuffer(hashes, np.uint64))
    twice = set(map(int, ordered[1:][ordered[1:] == ordered[:-1]]))
    if not twice:
        return
    seen: dict[int, Item] = {}
    for _, item in _all_items(request, Manifest(manifest.path, [])):
        key = _hash(item.target, fold_case)
        if key in twice and key in seen:
            first, second = (entry.entry.key for entry in (seen[key], item))
            raise UsageError(
                f"{first} and {second} would both write {item.target}",
                hint="Rename one of them, or run them into two outputs.",
            )
        seen |= {key: item} if key in twice else {}
