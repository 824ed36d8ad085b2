"""What counts as done, what may be replaced, and who may write."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from dacse_cli.errors import LockedError, OutputError
from dacse_cli.files.atomic import stage_bytes
from dacse_cli.pipeline.record.journal import Journal, holders
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.record.records import Recipe
from dacse_cli.pipeline.record.standing import Standing
from dacse_cli.pipeline.request.settings import settings_hash
from dacse_cli.pipeline.request.shards import Shard

RECIPE = Recipe(100, 1, "abc")


@pytest.fixture
def place(tmp_path):
    return LocalPlace(tmp_path)


def write(journal, key, data=b"result", state="done", recipe=RECIPE, source="in", **more):
    digest = hashlib.sha256(data).hexdigest()
    journal.intend(key, recipe, source, len(data), digest)
    target = journal.place.folder / key
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    if state == "done":
        journal.finish(key, recipe, source, len(data), digest, **more)


def standing(journal, key="a.wav", recipe=RECIPE, source="in", **more):
    return journal.standing(key, recipe, source, **more)


def test_done_is_remembered(place):
    with Journal(place) as journal:
        assert standing(journal, "sub/a.wav") is Standing.FREE
        write(journal, "sub/a.wav")
    with Journal(place) as journal:
        assert standing(journal, "sub/a.wav") is Standing.DONE
        for change in ({"size": 101}, {"stamp": 2}, {"settings": "other options"}):
            assert standing(journal, "sub/a.wav", replace(RECIPE, **change)) is Standing.OURS


def test_looking_writes_nothing_not_even_failures(place, tmp_path):
    """A dry run that finds a bad input notes it for its plan; once that ended as exit code 6."""
    with Journal(place) as journal:
        write(journal, "a.wav")
    before = (tmp_path / ".dacse/journal.jsonl").read_bytes()
    looking = Journal.peek(place)
    looking.fail("b.wav", RECIPE, "not-audio", "not an audio file")
    assert list(looking.records) == ["a.wav"]
    assert (tmp_path / ".dacse/journal.jsonl").read_bytes() == before


def test_peeking_makes_no_folder(place, tmp_path):
    assert standing(Journal.peek(place)) is Standing.FREE
    assert list(tmp_path.iterdir()) == []


def test_a_crash_between_rename_and_record_costs_nothing(place, tmp_path):
    with Journal(place) as journal:
        write(journal, "a.wav", state="intent")
    with Journal(place) as journal:
        assert standing(journal) is Standing.DONE
        (tmp_path / "a.wav").write_bytes(b"Result")  # same size, other content
        assert standing(journal) is Standing.EDITED


def test_a_file_of_somebody_else_is_foreign(place, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"mine")
    with Journal(place) as journal:
        assert standing(journal) is Standing.FOREIGN
        assert standing(journal, "c.wav") is Standing.FREE
        (tmp_path / "d.wav").mkdir()
        assert standing(journal, "d.wav") is Standing.FOLDER


@pytest.mark.parametrize("by_hand", [b"edited by hand", b"Result"], ids=["longer", "of the same size"])
def test_an_output_that_was_edited_is_not_ours_to_replace(place, tmp_path, by_hand):
    """Only sizes were compared, so a change of the same size was overwritten by a run with other options."""
    with Journal(place) as journal:
        write(journal, "a.wav")
        os.utime(tmp_path / "a.wav", (1, 1))  # copied, with another time: still what was made
        assert standing(journal) is Standing.DONE
        (tmp_path / "a.wav").write_bytes(by_hand)
        os.utime(tmp_path / "a.wav", (2, 2))
        assert standing(journal) is Standing.EDITED
        assert standing(journal, recipe=replace(RECIPE, settings="other")) is Standing.EDITED


def test_an_output_of_another_input_is_not_replaced(place):
    """`enhance day1 out; enhance day2 out`, both with a.wav: the first day's output was lost."""
    with Journal(place) as journal:
        write(journal, "a.wav", source="day1/a.wav")
        other = replace(RECIPE, size=200)
        assert standing(journal, recipe=other, source="day2/a.wav") is Standing.OTHER_INPUT
        assert standing(journal, recipe=other, source="day1/a.wav") is Standing.OURS
        assert standing(journal, source="moved/a.wav") is Standing.DONE
        again = replace(RECIPE, settings="other options")
        assert standing(journal, recipe=again, source="moved/a.wav") is Standing.OURS


def test_a_failure_makes_a_file_of_somebody_else_no_edited_output(place, tmp_path):
    with Journal(place) as journal:
        journal.fail("a.wav", RECIPE, "nan", "1 sample is NaN")
        (tmp_path / "a.wav").write_bytes(b"mine")
        assert standing(journal) is Standing.FOREIGN


class Unread(LocalPlace):
    """A folder whose files may not be read, for it takes hours."""

    def sha256(self, key):
        raise AssertionError(f"{key} is read")


class Timeless(Unread):
    """A place without modification times, as some object stores are."""

    def modified(self, key):
        return None


@pytest.mark.parametrize("kind", [Unread, Timeless])
def test_outputs_of_known_size_and_time_are_not_read_again(tmp_path, kind):
    """A second run over a terabyte of outputs must not hash them all."""
    with Journal(kind(tmp_path)) as journal:
        write(journal, "a.wav")
        assert standing(journal) is Standing.DONE
    assert standing(Journal.peek(Timeless(tmp_path))) is Standing.DONE


def test_the_journal_of_an_older_version_still_holds(place, tmp_path):
    """Lines without numbers go by their time; names of inputs are hashed as they were."""
    (tmp_path / "a.wav").write_bytes(b"result")
    digests = {data: hashlib.sha256(data).hexdigest() for data in (b"result", b"older!")}

    def old_lines(name, lines):
        common = {"target": "a.wav", "state": "done", "size": 6, "source": 169470148228188}
        lines = ({**common, "recipe": [100, 1, s], "time": t, "sha256": digests[d]} for s, t, d in lines)
        (tmp_path / ".dacse" / name).write_text("".join(json.dumps(line) + "\n" for line in lines))

    (tmp_path / ".dacse").mkdir()
    # the second line was written after the clock was set back: it is not older than the first
    old_lines("journal.1-of-2.jsonl", [("old", 300.0, b"older!"), ("new", 100.0, b"result")])
    old_lines("journal.2-of-2.jsonl", [("older", 200.0, b"older!")])
    with Journal(place) as journal:
        assert standing(journal, recipe=replace(RECIPE, settings="new")) is Standing.DONE
        other = replace(RECIPE, size=200)
        assert standing(journal, recipe=other, source="day1/a.wav") is Standing.OURS
        assert standing(journal, recipe=other, source="day2/a.wav") is Standing.OTHER_INPUT
        write(journal, "a.wav")  # with a number: later than all of them
    assert standing(Journal.peek(place)) is Standing.DONE


def test_a_line_of_more_than_a_megabyte_is_passed_over(place, tmp_path):
    def line(target, length):
        data = {"target": target, "state": "failed", "recipe": [1, 1, "x"], "size": 0, "sha256": ""}
        bare = len(json.dumps({**data, "message": ""})) + 1
        return json.dumps({**data, "message": "m" * (length - bare)}) + "\n"

    (tmp_path / ".dacse").mkdir()
    lines = line("long", 1 << 20) + line("too long", (1 << 20) + 2) + line("after it", 200)
    (tmp_path / ".dacse" / "journal.jsonl").write_text(lines)
    assert list(Journal.peek(place).records) == ["long", "after it"]


def test_an_output_of_several_files_is_done_while_all_of_them_are_as_made(place, tmp_path):
    with Journal(place) as journal:
        for part in ("a.ch1.txt", "a.ch2.txt"):
            write(journal, part)
        journal.finish_parts("a.txt", RECIPE, "in", ["a.ch1.txt", "a.ch2.txt"])
        assert standing(journal, "a.txt") is Standing.DONE
    (tmp_path / "a.ch2.txt").write_bytes(b"shorter")
    with Journal(place) as journal:
        assert standing(journal, "a.txt") is Standing.FREE
        journal.finish_parts("b.txt", RECIPE, "in", ["never made"])
        assert standing(journal, "b.txt") is Standing.FREE


def test_a_failure_is_tried_again_and_hides_no_earlier_output(place, tmp_path):
    with Journal(place) as journal:
        journal.fail("a.wav", RECIPE, "nan", "1 sample is NaN")
        assert standing(journal) is Standing.FREE
        write(journal, "a.wav")
        journal.fail("a.wav", replace(RECIPE, stamp=2), "nan", "1 sample is NaN")
    with Journal(place) as journal:
        assert standing(journal) is Standing.DONE
        assert "failed" not in {record.state for record in journal.records.values()}


def test_the_lock_names_its_holder_alone(place, tmp_path):
    for _ in range(2):
        with Journal(place):
            (line,) = (tmp_path / ".dacse" / "lock").read_text().splitlines()
            assert f"process {os.getpid()} on " in line
    with Journal(place, Shard(1, 2)), Journal(place, Shard(2, 2)):
        assert len((tmp_path / ".dacse" / "lock").read_text().splitlines()) == 1
        assert [path.name for path in holders(tmp_path)] == ["lock.1-of-2", "lock.2-of-2"]
    assert holders(tmp_path) == [] and not place.remote


def test_a_long_name_of_an_earlier_holder_leaves_nothing_behind(place, tmp_path):
    (tmp_path / ".dacse").mkdir()
    (tmp_path / ".dacse" / "lock").write_text("process 1 on a host of a very long name\n" * 9)
    with Journal(place):
        assert len((tmp_path / ".dacse" / "lock").read_text().splitlines()) == 1


def test_closing_twice_closes_nothing_of_others(place):
    with Journal(place) as journal:
        write(journal, "a.wav")
    others = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]  # the numbers of what was closed
    journal.__exit__(None, None, None)
    for descriptor in others:
        os.close(descriptor)
    with pytest.raises(OutputError):
        journal.intend("b.wav", RECIPE, "in", 1, "00")
    assert list(journal.records) == ["a.wav"]


@pytest.mark.parametrize("fault", [OSError(5, "broken disk"), KeyboardInterrupt()])
def test_a_journal_that_cannot_be_opened_holds_nothing(place, tmp_path, monkeypatch, fault):
    """Its lock stayed with the process: the next run of a server was refused by itself."""

    def broken(shard):
        raise fault

    monkeypatch.setattr(place, "segment", broken)
    with pytest.raises((OutputError, KeyboardInterrupt)), Journal(place):
        pass
    assert holders(tmp_path) == []


def test_a_short_write_is_a_full_disk(place, monkeypatch):
    with Journal(place) as journal:
        monkeypatch.setattr(os, "write", lambda descriptor, data: len(data) - 1)
        with pytest.raises(OutputError, match="no space left"):
            journal.intend("a.wav", RECIPE, "in", 1, "00")
        assert not journal.records


class Segmented(LocalPlace):
    """A place that wants a new segment after every record."""

    number = 0

    def segment(self, shard):
        return self.folder / ".dacse" / f"journal.{self.number}.jsonl"

    def grown(self, segment, size):
        assert segment == self.segment(None) and size == segment.stat().st_size
        self.number += 1
        return True


def test_a_journal_in_segments_is_one(tmp_path):
    """Objects cannot be appended to: a store gets a journal in pieces, of which one is open at a time."""
    with Journal(Segmented(tmp_path)) as journal:
        opened = len(os.listdir("/proc/self/fd"))
        for number in range(6):
            write(journal, f"{number}.wav")
        assert len(os.listdir("/proc/self/fd")) == opened
    assert len(list((tmp_path / ".dacse").glob("journal.*"))) == 13
    again = Journal.peek(LocalPlace(tmp_path))
    assert all(standing(again, f"{number}.wav") is Standing.DONE for number in range(6))


def test_opening_a_whole_journal_adds_nothing(place, tmp_path):
    with Journal(place) as journal:
        write(journal, "a.wav")
    before = (tmp_path / ".dacse" / "journal.jsonl").read_bytes()
    with Journal(place):
        pass
    assert (tmp_path / ".dacse" / "journal.jsonl").read_bytes() == before


def test_outputs_are_named_below_their_place(place, tmp_path):
    with Journal(place) as journal:
        assert journal.key(tmp_path / "sub" / "a.wav") == "sub/a.wav"
        assert journal.home(tmp_path / "sub" / "a.wav") == tmp_path


def test_what_was_made_of_a_damaged_input_is_not_done_for_strict(place):
    with Journal(place) as journal:
        write(journal, "whole.wav")
        assert standing(journal, "whole.wav", strict=True) is Standing.DONE
        write(journal, "a.wav", damaged=True)
    with Journal(place) as journal:
        assert standing(journal) is Standing.DONE
        assert standing(journal, strict=True) is Standing.OURS


def test_a_clock_that_was_ahead_decides_nothing(place, tmp_path):
    """Records were sorted by time: a run of an hour's clock ahead counted as the last one, and the first
    options' output passed for done while the file held the second one's."""
    with Journal(place) as journal:
        write(journal, "a.wav", b"first!")
    path = tmp_path / ".dacse" / "journal.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**line, "time": line["time"] + 3600}) + "\n" for line in lines))
    second = replace(RECIPE, settings="other")
    with Journal(place) as journal:
        write(journal, "a.wav", b"second", recipe=second)
    with Journal(place) as journal:
        assert standing(journal) is Standing.OURS
        assert standing(journal, recipe=second) is Standing.DONE


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b"null",
        b'{"target": 1}',
        b"\xff",
        b"[" * 10_000,
        b'{"target": ["a"], "state": "done", "recipe": [1, 1, "x"], "size": 1, "sha256": "00"}',
        b'{"target": "a.wav", "state": "done", "recipe": [1e400, 1, "x"], "size": 1, "sha256": "00"}',
        b'{"target": "a.wav", "state": "done", "recipe": [1, 1, "x"], "size": 1, "sha256": "no hex"}',
        b'{"target": "b.wav", "sta',
    ],
)
def test_torn_and_foreign_lines_are_passed_over(place, tmp_path, line):
    """One odd line made `status`, `--dry-run` and `enhance` refuse the folder until it was deleted."""
    with Journal(place) as journal:
        write(journal, "a.wav")
    path = tmp_path / ".dacse" / "journal.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes() + line)
    with Journal(place) as journal:
        assert standing(journal) is Standing.DONE
        journal.fail("c.wav", RECIPE, "nan", "1 sample is NaN")  # not glued to a torn line
        write(journal, "b.wav")
    with Journal(place) as journal:
        assert standing(journal, "b.wav") is Standing.DONE
        assert journal.records["c.wav"].message == "1 sample is NaN"


@pytest.mark.parametrize("name", ["lock", "journal.jsonl"])
def test_nothing_is_written_through_a_link(place, tmp_path, name):
    """A stranger's folder whose lock was a link to a file of yours: it was truncated."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / ".dacse").mkdir()
    (tmp_path / ".dacse" / name).symlink_to(victim)
    with pytest.raises(OutputError), Journal(place):
        pass
    assert victim.read_bytes() == b"mine"


def test_a_linked_folder_of_our_own_is_refused(place, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / ".dacse").symlink_to("theirs")
    with pytest.raises(OutputError, match="is a symbolic link"), Journal(place):
        pass
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_place_knows_what_lies_in_it(place, tmp_path):
    written = stage_bytes(tmp_path / "sub" / "a.wav", b"sound")
    place.publish(written.temp, "sub/a.wav")
    assert (place.name("sub/a.wav"), place.size("sub/a.wav")) == (str(tmp_path / "sub/a.wav"), 5)
    assert place.sha256("sub/a.wav") == written.sha256 == hashlib.sha256(b"sound").hexdigest()
    assert place.modified("sub/a.wav") == (tmp_path / "sub/a.wav").stat().st_mtime_ns
    assert (place.size("no"), place.modified("no"), place.sha256("no"), place.exists("no")) == (None,) * 3 + (
        False,
    )
    (tmp_path / "gone").symlink_to("nowhere")
    assert place.exists("gone") and place.is_folder("sub") and not place.is_folder("sub/a.wav")


def test_a_pipe_in_place_of_a_journal_is_not_waited_for(place, tmp_path):
    (tmp_path / ".dacse").mkdir()
    os.mkfifo(tmp_path / ".dacse" / "journal.old.jsonl")
    with pytest.raises(OutputError, match="cannot be read"):
        Journal.peek(place)


def test_an_output_folder_that_is_moved_stops_the_run(place, tmp_path):
    """Journal and outputs went different ways."""
    inner = LocalPlace(tmp_path / "out")
    with Journal(inner) as journal:
        journal.check_place()
        (tmp_path / "out").rename(tmp_path / "elsewhere")
        with pytest.raises(OutputError, match="moved or replaced"):
            journal.check_place()


def test_a_second_run_is_refused_with_the_process_that_holds_the_folder(place, tmp_path):
    code = f"""
import pathlib, sys
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.place import LocalPlace
with Journal(LocalPlace(pathlib.Path({str(tmp_path)!r}))):
    print("held", flush=True)
    sys.stdin.read()
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(LockedError, match=f"process {holder.pid} "), Journal(place):
        pass
    holder.kill()  # the lock dies with its holder: nothing to clean up by hand
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    with Journal(place):
        pass


def test_an_output_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError), Journal(LocalPlace(tmp_path / "file")):
        pass


def test_the_settings_hash_ignores_order_of_keys():
    assert settings_hash({"a": 1, "b": 2}) == settings_hash({"b": 2, "a": 1}) != settings_hash({"a": 1})
