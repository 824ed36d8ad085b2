"""Recordings in groups by a property, such as the signal-to-noise ratio, taken from a list.

Reads CSV tables with a head line and the `manifest.jsonl` of `dacse mix`. Computes no score.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dacse_cli.errors import UsageError
from dacse_cli.files.documents import DocumentError, parse_json
from dacse_cli.files.names import quoted
from dacse_cli.files.problems import reason
from dacse_cli.files.regular import read_bytes

MOST_VALUES = 12
"""Most values with a row each; more numeric values are put into four ranges of about equal size."""
_RANGES = 4
_NAMES = ("file", "key", "path", "name", "noisy", "enhanced", "clean")
"""Columns that may name a recording; the first existing one is used."""
_MOST_BYTES = 256 << 20
Row = Mapping[str, object]


@dataclass(frozen=True)
class Groups:
    """The groups that a table is divided by."""

    property: str
    """The property by which recordings are grouped."""
    groups: tuple[tuple[str, frozenset[str]], ...]
    """(value or range, keys of the recordings), in the order of the values."""
    unknown: int = 0
    """Recordings that are not in the list."""

    def of(self, key: str) -> str:
        """The group of a recording; empty if it is in none."""
        return next((value for value, keys in self.groups if key in keys), "")


def read_groups(source: str, keys: Iterable[str]) -> Groups:
    """Groups of the recordings `keys` by `LIST:COLUMN`. Raises `UsageError`."""
    name, colon, column = source.rpartition(":")
    if not colon or not name or not column:
        raise UsageError(f"{source}: give a list and one of its columns, for example manifest.csv:snr")
    rows = list(_rows(Path(name)))
    values = _values(rows, name, column)
    wanted = list(keys)
    found = {key: value for key in wanted if (value := _value_of(key, values)) is not None}
    if not found:
        raise UsageError(
            f"{name} names none of the recordings",
            hint="It is matched by the path below the folder, or the file's name, without the suffix.",
        )
    return Groups(column, tuple(_grouped(found, name, column)), len(wanted) - len(found))


def _rows(path: Path) -> Iterator[Row]:
    try:
        data = read_bytes(path, _MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason(error)}") from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{path} is larger than {_MOST_BYTES >> 20} MB")
    if path.suffix.lower() == ".jsonl":
        yield from _json_rows(path, data)
        return
    try:
        text = data.decode("utf-8-sig")
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        yield from csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="")
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a table: {error}") from error


def _json_rows(path: Path, data: bytes) -> Iterator[Row]:
    for number, line in enumerate(data.splitlines(), 1):
        try:
            row = parse_json(line)
        except DocumentError as error:
            raise UsageError(f"{path}, line {number} {error}") from error
        if not isinstance(row, dict):
            raise UsageError(f"{path}, line {number} is no JSON object")
        yield row


def _values(rows: Sequence[Row], name: str, column: str) -> dict[str, str]:
    """Path without suffix -> value in `column`."""
    names = rows[0].keys() if rows else ()
    if column not in names:
        raise UsageError(f'{name} has no column "{column}"', hint=f"It has: {quoted(', '.join(names))}.")
    by = next((known for known in _NAMES if known in names), None)
    if by is None:
        raise UsageError(f"{name} does not say which recording a row is about", hint="Call the column file.")
    found: dict[str, str] = {}
    for row in rows:
        file, value = row.get(by), row.get(column)
        if isinstance(file, str) and isinstance(value, str | int | float) and str(value).strip():
            path = PurePosixPath(file)
            found[path.with_suffix("").as_posix() if path.name else ""] = str(value).strip()
    return found


def _value_of(key: str, values: Mapping[str, str]) -> str | None:
    """The value for a recording: of its whole path, else of the one row whose path ends with it."""
    if key in values:
        return values[key]
    ending = [value for path, value in values.items() if path.endswith(f"/{key}") or path == Path(key).name]
    return ending[0] if len(ending) == 1 else None


def _grouped(found: Mapping[str, str], name: str, column: str) -> Iterator[tuple[str, frozenset[str]]]:
    numbers = _numbers(found)
    distinct = set(found.values())
    if numbers is None or len(distinct) <= MOST_VALUES:
        if len(distinct) > MOST_VALUES:
            raise UsageError(f"{column} of {name} has {len(distinct)} values that are not numbers")
        order = sorted(distinct, key=lambda value: (float(value), value) if numbers else (0.0, value))
        for value in order:
            yield value, frozenset(key for key, own in found.items() if own == value)
        return
    keys = sorted(numbers, key=lambda key: (numbers[key], key))
    for part in range(_RANGES):
        own = keys[part * len(keys) // _RANGES : (part + 1) * len(keys) // _RANGES]
        yield f"{numbers[own[0]]:g} to {numbers[own[-1]]:g}", frozenset(own)


def _numbers(found: Mapping[str, str]) -> dict[str, float] | None:
    """The values as numbers, None where one is not."""
    try:
        return {key: float(value) for key, value in found.items()}
    except ValueError:
        return None
