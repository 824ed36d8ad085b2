"""An object store as the place of outputs: which of its objects are copied to this disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dacse_cli.errors import OutputError
from dacse_cli.pipeline.record import store_place
from dacse_cli.pipeline.record.place import FOLDER
from dacse_cli.pipeline.record.store_place import StorePlace
from dacse_cli.store.store import Entry, Store


class Listed(Store):
    """A store with these objects of ten bytes."""

    def __init__(self, *keys: str) -> None:
        self.url, self.keys = "s3://bucket/out", keys

    def entries(self) -> Iterator[Entry]:
        return (Entry(key, 10, 1) for key in self.keys)

    def fetch(self, entry: Entry, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(entry.size))


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def place(folder: Path, *names: str) -> StorePlace:
    return StorePlace(folder / "a" / "out", Listed(*(f"{FOLDER}/{name}" for name in names)))


@pytest.mark.parametrize(
    "name",
    [
        "journal/../../../escaped.jsonl",
        "journal/sub.jsonl",
        "journal\\..\\x.jsonl",
        "journal.jsonl/x",
        "journal.txt",
        "journal\0.jsonl",
        "journal.jsonl\n",
        "lock",
    ],
)
def test_only_names_of_journals_are_fetched(tmp_path: Path, name: str) -> None:
    """A key with `..` in it was written outside the folder of journals, with the content of the store."""
    shown = place(tmp_path, name, "journal.1-of-2.20260101T000000-abcdef.3.jsonl", "journal.jsonl")
    assert len(shown.journals(None)) == 2
    assert files(tmp_path) == [
        "a/out/.dacse/journal.1-of-2.20260101T000000-abcdef.3.jsonl",
        "a/out/.dacse/journal.jsonl",
    ]
    assert not shown.exists(f"{FOLDER}/{name}")  # it is no output either


@pytest.mark.parametrize("limit", ["MAX_SEGMENTS", "MAX_BYTES"])
def test_a_journal_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """A store could fill this disk with whatever it called a journal."""
    monkeypatch.setattr(store_place, limit, {"MAX_SEGMENTS": 2, "MAX_BYTES": 29}[limit])
    with pytest.raises(OutputError, match="s3://bucket/out is 3 files of 0 MB, more than dacse reads"):
        place(tmp_path, *(f"journal.{n}.jsonl" for n in range(3))).journals(None)
    assert files(tmp_path) == []
