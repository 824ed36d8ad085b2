"""A folder as the place of outputs: what is there, and how a finished file gets its name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dacse_cli.errors import OutputError
from dacse_cli.pipeline.record.place import LocalPlace, journal_files, make_own_folder, suffix
from dacse_cli.pipeline.request.shards import Shard


def test_a_finished_file_gets_its_name(tmp_path: Path) -> None:
    """Fails when a file is not moved, or its size, time or hash are those of another."""
    place, temp = LocalPlace(tmp_path), tmp_path / "sub" / "new.dacse-part"
    temp.parent.mkdir()
    temp.write_bytes(b"sound")
    assert not place.exists("sub/a.wav")
    assert place.size("sub/a.wav") is place.modified("sub/a.wav") is place.sha256("sub/a.wav") is None
    place.publish(temp, "sub/a.wav")
    assert not temp.exists() and (tmp_path / "sub/a.wav").read_bytes() == b"sound"
    assert place.exists("sub/a.wav") and place.size("sub/a.wav") == 5
    assert place.modified("sub/a.wav") == (tmp_path / "sub/a.wav").stat().st_mtime_ns
    assert place.sha256("sub/a.wav") == hashlib.sha256(b"sound").hexdigest()
    assert place.name("sub/a.wav") == str(tmp_path / "sub/a.wav")
    assert not place.remote


def test_links_and_folders_are_told_apart(tmp_path: Path) -> None:
    """A broken link is in the way of an output; a link to a folder is no folder of the output."""
    place = LocalPlace(tmp_path)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "file").touch()
    assert place.exists("broken") and place.size("broken") is None
    assert [place.is_folder(key) for key in ("folder", "link", "file", "broken")] == [
        True,
        False,
        False,
        False,
    ]


def test_journals_by_name(tmp_path: Path) -> None:
    """Each part of a run appends to its own and reads all."""
    place, part = LocalPlace(tmp_path), Shard(2, 8)
    assert place.segment(None) == tmp_path / ".dacse" / "journal.jsonl"
    assert place.segment(part) == tmp_path / ".dacse" / "journal.2-of-8.jsonl"
    assert (suffix(None), suffix(part)) == ("", ".2-of-8")
    assert journal_files(tmp_path) == place.journals(part) == []
    for folder in (tmp_path / "deep" / "out", tmp_path, tmp_path):
        make_own_folder(folder)
        assert (folder / ".dacse").is_dir()
    own = tmp_path / ".dacse"
    for name in ("journal.jsonl", "journal.2-of-8.jsonl", "speed.jsonl", "lock"):
        (own / name).touch()
    assert [path.name for path in place.journals(part)] == ["journal.2-of-8.jsonl", "journal.jsonl"]
    assert place.grown(place.segment(None), 1 << 40) is False


def test_a_linked_folder_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / ".dacse").symlink_to(tmp_path / "theirs")
    with pytest.raises(OutputError, match="symbolic link"):
        make_own_folder(tmp_path)
