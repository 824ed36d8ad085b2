"""Which outputs of a plan would overwrite each other, or an input."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dacse_cli.errors import UsageError
from dacse_cli.pipeline.request.jobs import Found

Pair = tuple[Found, Path]
"""Pairs of an input and its output."""


class Collisions:
    """Remembers the outputs of a plan by eight bytes each, however many there are.

    With `fold_case`, names are compared as `NFC(name).casefold()`, so that a plan is as safe on a disk that
    ignores case.
    """

    def __init__(self, *, fold_case: bool) -> None:
        self._fold_case = fold_case
        self._hashes = array("Q")

    def watch(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """Yield the same pairs and remember their outputs."""
        for pair in pairs:
            self._hashes.append(self._hash(pair[1]))
            yield pair

    def find(self, pairs: Callable[[], Iterable[Pair]]) -> Iterator[tuple[Found, Pair]]:
        """Every pair whose output is also that of an earlier input, with that input."""
        repeated = _repeated(self._hashes)
        first: dict[int, Found] = {}
        for found, target in pairs() if repeated else ():
            key = self._hash(target)
            if key in repeated and first.setdefault(key, found) is not found:
                yield first[key], (found, target)

    def refuse(self, pairs: Callable[[], Iterable[Pair]], name: Callable[[Path], str] = str) -> None:
        """Raise `UsageError` naming the first two inputs that have one output, and the output by `name`."""
        for first, (found, target) in self.find(pairs):
            raise UsageError(
                f"{first.name} and {found.name} would both write {name(target)}",
                hint="Rename one of them, or run them into two outputs.",
            )

    def _hash(self, target: Path) -> int:
        name = os.path.normpath(target.absolute())
        if self._fold_case:
            name = unicodedata.normalize("NFC", name).casefold()
        return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _repeated(hashes: array[int]) -> set[int]:
    if len(hashes) < 2:
        return set()
    import numpy as np

    ordered = np.sort(np.frombuffer(hashes, np.uint64))
    return set(map(int, ordered[1:][ordered[1:] == ordered[:-1]]))


def refuse_inputs_as_outputs(sources: Iterable[Path], targets: Iterable[Path]) -> None:
    """Raise `UsageError` where an output is an input, both on this disk.

    A link at an output's name is replaced and not followed, so only the link itself counts there.
    """
    inputs = {_inode(source, follow) for source in sources for follow in (True, False)} - {None}
    for target in targets if inputs else ():
        if _inode(target, follow=False) in inputs:
            raise is_input(target)


def is_input(output: Path | str) -> UsageError:
    """The error for an output that is an input."""
    return UsageError(
        f"{output} is itself an input; inputs are never written to", hint="Give another output."
    )


def _inode(path: Path, follow: bool) -> tuple[int, int] | None:
    try:
        status = path.stat(follow_symlinks=follow)
    except (OSError, ValueError):
        return None  # a dangling link or no permission: reported when the file is processed
    is_file = stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)
    return (status.st_dev, status.st_ino) if is_file else None
