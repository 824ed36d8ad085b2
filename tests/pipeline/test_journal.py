"""What counts as done, and who may write."""

import subprocess
import sys

import pytest

from dacse_cli.errors import LockedError, OutputError
from dacse_cli.pipeline.record.journal import Journal, Recipe
from dacse_cli.pipeline.request.networks import settings_hash

RECIPE = Recipe(100, 1, "abc")


def write(journal, target, data=b"result", state="done"):
    import hashlib

    digest = hashlib.sha256(data).hexdigest()
    journal.intend(target, RECIPE, len(data), digest)
    target.write_bytes(data)
    if state == "done":
        journal.finish(target, RECIPE, len(data), digest)


def test_done_is_remembered(tmp_path):
    target = tmp_path / "sub" / "a.wav"
    target.parent.mkdir()
    with Journal(tmp_path) as journal:
        assert not journal.is_done(target, RECIPE)
        write(journal, target)
    with Journal(tmp_path) as journal:
        assert journal.is_done(target, RECIPE)
        assert not journal.is_done(target, Recipe(101, 1, "abc"))
        assert not journal.is_done(target, Recipe(100, 2, "abc"))
        assert not journal.is_done(target, Recipe(100, 1, "other options"))
        assert not journal.is_foreign(target)


def test_looking_writes_nothing_not_even_failures(tmp_path):
    """A dry run that finds a bad input notes it for its plan; once that ended as exit code 6."""
    with Journal(tmp_path) as journal:
        write(journal, tmp_path / "a.wav")
    before = (tmp_path / ".dacse/journal.jsonl").read_bytes()
    Journal.peek(tmp_path).fail(tmp_path / "b.wav", RECIPE, "not-audio", "not an audio file")
    assert (tmp_path / ".dacse/journal.jsonl").read_bytes() == before


def test_a_crash_between_rename_and_record_costs_nothing(tmp_path):
    with Journal(tmp_path) as journal:
        write(journal, tmp_path / "a.wav", state="intent")
    with Journal(tmp_path) as journal:
        assert journal.is_done(tmp_path / "a.wav", RECIPE)
        (tmp_path / "a.wav").write_bytes(b"Result")  # same size, other content
        assert not journal.is_done(tmp_path / "a.wav", RECIPE)
        assert journal.is_foreign(tmp_path / "a.wav")


def test_a_file_of_somebody_else_is_foreign(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"mine")
    with Journal(tmp_path) as journal:
        assert journal.is_foreign(tmp_path / "a.wav")
        write(journal, tmp_path / "b.wav")
        (tmp_path / "b.wav").write_bytes(b"edited by hand")
        assert journal.is_foreign(tmp_path / "b.wav")
        assert not journal.is_foreign(tmp_path / "c.wav")


def test_torn_and_foreign_lines_are_passed_over(tmp_path):
    with Journal(tmp_path) as journal:
        write(journal, tmp_path / "a.wav")
    path = tmp_path / ".dacse" / "journal.jsonl"
    path.write_bytes(path.read_bytes() + b'[1]\nnull\n{"target": 1}\n\xff\n{"target": "b.wav", "sta')
    with Journal(tmp_path) as journal:
        assert journal.is_done(tmp_path / "a.wav", RECIPE)
        write(journal, tmp_path / "b.wav")
    with Journal(tmp_path) as journal:
        assert journal.is_done(tmp_path / "b.wav", RECIPE)


def test_a_second_run_is_refused_and_told_who_holds_the_folder(tmp_path):
    code = f"""
import pathlib, sys
from dacse_cli.pipeline.record.journal import Journal
with Journal(pathlib.Path({str(tmp_path)!r})):
    print("held", flush=True)
    sys.stdin.read()
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(LockedError, match=f"process {holder.pid} "), Journal(tmp_path):
        pass
    holder.kill()  # the lock dies with its holder: nothing to clean up by hand
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    with Journal(tmp_path):
        pass


def test_an_output_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError), Journal(tmp_path / "file"):
        pass


def test_peeking_writes_nothing(tmp_path):
    assert not Journal.peek(tmp_path).is_done(tmp_path / "a.wav", RECIPE)
    assert list(tmp_path.iterdir()) == []


def test_the_settings_hash_ignores_order_of_keys():
    assert settings_hash({"a": 1, "b": 2}) == settings_hash({"b": 2, "a": 1}) != settings_hash({"a": 1})
