"""One line of a journal: what happened to one output. Incomplete or unknown lines are skipped.

An *intent* is written before an output gets its final name and a *done* after it, so a crash between the two
costs nothing: an output whose content matches its intent is done. Fields:

    target   path below the output folder
    state    intent, done or failed
    n        counts up over all journals of a folder, because clocks of machines differ
    recipe   size and stamp of the input, hash of the settings
    size, sha256, made    of the output; `made` is its modification time
    source   the input, as a hash of its name
    parts    outputs that were written in place of `target`
    damaged  whether the input was cut or damaged
    message  why it failed, or the warning with which it is done

Beside them are lines of whole runs: `run` is begun or ended, `left` the inputs to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dacse_cli.errors import OutputError
from dacse_cli.files.problems import reason
from dacse_cli.files.regular import open_own

MAX_LINE = 1 << 20
"""Most bytes in a record; a longer line is not a record."""
STATES = ("intent", "done", "failed")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides the content of an output: input identity, options, models."""

    size: int
    stamp: int
    """Modification time in nanoseconds, or for an object a number that changes with its content."""
    settings: str
    """Hash over the options that change the sound, and over the models."""

    def as_list(self) -> list[object]:
        """As stored in records."""
        return [self.size, self.stamp, self.settings]


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of a line that decisions need; there may be a million in memory."""

    state: str
    recipe: Recipe
    size: int
    digest: bytes
    """First half of the sha256."""
    made: int | None
    source: int | None
    parts: tuple[str, ...]
    message: str
    damaged: bool


def digest_of(sha256: str) -> bytes:
    """The part of a hash that is kept in memory."""
    return bytes.fromhex(sha256[:32])


def source_of(name: str) -> int:
    """The hash of an input's name that is kept."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big")


def read_records(paths: Iterable[Path]) -> tuple[int, list[tuple[str, Record]]]:
    """The highest number, and (target, record) of all journals in order. Raises `OutputError`."""
    found = [entry for path in paths for entry in _read(path)]
    # stable: lines without numbers, of older versions, go by their time and stay in order within a file
    found.sort(key=lambda entry: entry[:2])
    return max((entry[0] for entry in found), default=0), [entry[2:] for entry in found]


def _read(path: Path) -> Iterator[tuple[int, float, str, Record]]:
    try:
        descriptor = open_own(path, 0)
    except OSError as error:
        raise OutputError(f"the journal {path} cannot be read: {reason(error)}") from None
    latest = 0.0
    with open(descriptor, "rb") as file:
        while line := file.readline(MAX_LINE):
            entry = parse(line)
            if entry is not None:
                number, at, target, record = entry
                latest = max(latest, at)  # a clock that was set back does not change the order in a file
                yield number, latest if number == 0 else 0.0, target, record


def parse(line: bytes) -> tuple[int, float, str, Record] | None:
    """Number, time, target and record of a line; None where it is not a record."""
    try:
        data = json.loads(line)
        size, stamp, settings = data["recipe"]
        made, source, parts = data.get("made"), data.get("source"), data.get("parts", [])
        number, message, damaged = data.get("n", 0), data.get("message", ""), data.get("damaged", False)
        wanted: list[tuple[Any, type]] = [
            (data["target"], str), (settings, str), (data["sha256"], str), (message, str),
            *((value, int) for value in (size, stamp, data["size"], number)),
            *((value, int) for value in (made, source) if value is not None),
            (parts, list), *((part, str) for part in parts), (damaged, bool),
        ]  # fmt: skip
        if data["state"] not in STATES or any(type(value) is not kind for value, kind in wanted):
            return None
        record = Record(
            state=data["state"],
            recipe=Recipe(size, stamp, settings),
            size=data["size"],
            digest=digest_of(data["sha256"]),
            made=made,
            source=source,
            parts=tuple(parts),
            message=message,
            damaged=damaged,
        )
        return number, float(data.get("time", 0.0)), data["target"], record
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None  # at worst an output counts as foreign, and is not touched
