"""The record of a data set: `manifest.jsonl`, a line per pair in the order of rows, and `mix.json`, settings.

A line is written after its two files are in place, in one piece, so the manifest is always a prefix of the
finished one: a run that is killed and restarted produces the same bytes as an uninterrupted one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dacse_cli.errors import InputError, UsageError
from dacse_cli.files.atomic import write_bytes_atomically
from dacse_cli.files.problems import output_error
from dacse_cli.training.runs.folder import lock_folder, refuse_changes, stored_settings

MANIFEST = "manifest.jsonl"
SETTINGS = "mix.json"
Record = dict[str, Any]


class Manifest:
    """The manifest of one folder, locked against other runs; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / MANIFEST
        self._descriptor = -1
        self.records: list[Record] = []
        """Rows 0, 1, ... that are written."""

    def __enter__(self) -> Manifest:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            lock_folder(self._descriptor, self._path.parent)
            data = self._path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):  # an incomplete last line of a killed run
                os.ftruncate(self._descriptor, whole)
            self.records = _parsed(data[:whole], self._path)
        except OSError as error:
            self.__exit__()
            raise output_error(error, self._path) from error
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def append(self, record: Record) -> None:
        """Add the next row. Raises `OutputError`."""
        if record["row"] != len(self.records):
            raise ValueError(f"row {record['row']} cannot follow {len(self.records)} rows")
        line = json.dumps(record).encode() + b"\n"
        try:
            if os.write(self._descriptor, line) != len(line):
                raise OSError(28, os.strerror(28))
        except OSError as error:
            raise output_error(error, self._path) from error
        self.records.append(record)


def read_manifest(folder: Path) -> list[Record]:
    """All rows of the data set in `folder`. Raises `InputError`."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", reason="no-manifest") from error
    return _parsed(data[: data.rfind(b"\n") + 1], path)


def claim(folder: Path, settings: dict[str, Any]) -> None:
    """Write `settings` into `folder`, or compare with stored ones; `UsageError` names differences."""
    path = folder / SETTINGS
    text = json.dumps(settings, indent=1, sort_keys=True) + "\n"
    settings = json.loads(text)  # tuples are lists there
    there = stored_settings(path)
    if there is None:
        if (folder / MANIFEST).exists():
            raise UsageError(f"{folder} holds a manifest that dacse mix has not written")
        write_bytes_atomically(path, text.encode())
    else:
        keys = sorted(settings.keys() | there.keys())
        refuse_changes(path, [key for key in keys if settings.get(key) != there.get(key)])


def _parsed(data: bytes, path: Path) -> list[Record]:
    records: list[Record] = []
    for number, line in enumerate(data.splitlines()):
        try:
            record = json.loads(line)
            in_order = record["row"] == number
        except (ValueError, KeyError, TypeError):
            in_order = False
        if not in_order:
            raise InputError(f"{path}, line {number + 1}: not row {number} of a manifest", reason="manifest")
        records.append(record)
    return records
