"""How every job ends: done, left alone or failed; what is remembered of it, and what is cleaned up."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dacse_cli.errors import InputError, OutputError
from dacse_cli.pipeline.record.chunk_cache import binding
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.record.no_journal import NoJournal
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.record.standing import Standing
from dacse_cli.pipeline.request.jobs import Job
from dacse_cli.pipeline.wire.events import Ended, Event
from dacse_cli.pipeline.wire.failures import Failure
from dacse_cli.pipeline.wire.guard_report import PASSED, GuardReport, Stretch
from dacse_cli.pipeline.wire.messages import Keep
from dacse_cli.pipeline.wire.outcome import Finished, Outcome, OutputFile, Result
from dacse_cli.store.store import Entry

Reason = tuple[str, str]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def journal(out: Path) -> Iterator[Journal]:
    with Journal(LocalPlace(out)) as opened:
        yield opened


def job(out: Path, index: int = 0, name: str = "a.wav") -> Job:
    source = out.parent / "in" / name
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(b"sound of " + name.encode())
    return Job(index, str(source), str(out / name), name)


def quiet(event: Event) -> None:
    pass


def made(target: Path, data: bytes = b"better") -> OutputFile:
    temp = target.with_name(f".{target.name}.part")
    temp.write_bytes(data)
    return OutputFile(temp, target, len(data), hashlib.sha256(data).hexdigest())


def settle(ledger: Ledger, one: Job, *others: Path, damaged: bool = False) -> list[OutputFile]:
    """Files as if a worker had written them, given to the ledger."""
    files = [made(target) for target in (one.target, *others)]
    ledger.settle(one.index, Finished(tuple(files), 2.5), [], damaged=damaged)
    return files


def ends(ledger: Ledger) -> list[Reason]:
    return [(result.outcome.value, result.reason) for result in ledger.summary.results]


def test_a_job_that_is_done(out: Path, journal: Journal) -> None:
    """It has its name, is counted, told, remembered, and as old as it is."""
    told: list[Event] = []
    ledger, one = Ledger(journal, "settings", told.append), job(out)
    os.utime(one.source, (1, 1))
    assert ledger.begin([one]) == [one]
    assert (ledger.open_count, ledger.is_open(0), ledger.is_open(1)) == (1, True, False)
    assert ledger.job(0) is one
    ledger.start(0)
    settle(ledger, one)
    assert one.target.read_bytes() == b"better" and one.target.stat().st_mtime > 1
    (result,) = ledger.summary.results
    assert told == [Ended(result)]
    assert (result.outcome, result.reason, result.message) == (Outcome.DONE, "", "")
    assert (result.seconds, result.resumed, result.guard) == (2.5, 0, None)
    assert 0 <= result.elapsed < 60 and result.target == str(one.target)
    assert (ledger.open_count, ledger.is_open(0)) == (0, False)
    again = Ledger(journal, "settings", quiet, strict=True)
    assert again.begin([one]) == []
    assert ends(again) == [("skipped", "already-done")]
    assert again.summary.results[0].seconds == again.summary.results[0].elapsed == 0
    assert Ledger(journal, "settings", quiet, overwrite=True).begin([one]) == [one]
    assert Ledger(journal, "other", quiet).begin([one]) == [one]


def test_what_was_made_of_a_damaged_input_is_asked_for_by_strict_alone(out: Path, journal: Journal) -> None:
    ledger, one = Ledger(journal, "", quiet), job(out)
    ledger.begin([one])
    settle(ledger, one, damaged=True)
    assert Ledger(journal, "", quiet).begin([one]) == []
    assert Ledger(journal, "", quiet, strict=True).begin([one]) == [one]


def test_jobs_that_need_no_worker(out: Path, journal: Journal) -> None:
    gone, taken, folder, free = (job(out, n, name) for n, name in enumerate(("gone", "taken", "folder", "b")))
    gone.source.unlink()
    taken.target.write_bytes(b"mine")
    folder.target.mkdir()
    ledger = Ledger(journal, "", quiet)
    assert ledger.begin([gone, taken, folder, free]) == [free]
    assert ends(ledger) == [("failed", "vanished"), ("skipped", "exists"), ("failed", "in-the-way")]
    assert ledger.summary.results[1].message == (
        "an output exists, perhaps made with other options; `overwrite` replaces it; or give another output"
    )
    assert ledger.summary.results[2].hint == "Move it, or give another output."
    replacing = Ledger(journal, "", quiet, overwrite=True)
    assert replacing.begin([gone, taken, folder, free]) == [taken, free]


def test_a_job_that_fails_is_remembered_with_its_reason(out: Path, journal: Journal) -> None:
    one, other = job(out), job(out, 1, "b.wav")
    ledger = Ledger(journal, "", quiet)
    ledger.begin([one])
    ledger.fail(0, Failure("nan", "1 sample is NaN"))
    ledger.reject(other, Failure("empty", "no sound", "Record again."))
    assert ends(ledger) == [("failed", "nan"), ("failed", "empty")]
    assert [result.hint for result in ledger.summary.results] == ["", "Record again."]
    assert journal.records["a.wav"].message == "1 sample is NaN" and "b.wav" not in journal.records


def test_warnings_of_reader_worker_and_guard_come_together(out: Path, journal: Journal) -> None:
    guard = GuardReport("normal", 3, 0, 1, (Stretch(1, 2, 0, PASSED, ("dropped",)),))
    for index, (report, warnings, reason) in enumerate(
        (
            (guard, ["cut"], "passed-through"),
            (GuardReport("normal", 4), ["cut"], "warning"),
            (guard, [], None),
        )
    ):
        one = job(out, index, f"{index}.wav")
        ledger = Ledger(journal, "", quiet)
        ledger.begin([one])
        finished = Finished((made(one.target),), 1.0, ("clipped",) if warnings else (), 0.5, report)
        ledger.settle(index, finished, warnings, damaged=False)
        (result,) = ledger.summary.results
        assert (result.outcome, result.reason) == (Outcome.WARNED, reason or "passed-through")
        assert (result.guard, result.resumed) == (report, 0.5)
        own = "; ".join(report.warnings())
        assert result.message == "; ".join(filter(None, [own, *(["cut", "clipped"] if warnings else [])]))
        records = [json.loads(line) for line in (out / ".dacse" / "journal.jsonl").read_text().splitlines()]
        assert records[-1]["guard"]["mode"] == "normal"


@pytest.mark.parametrize("change", ["grown", "gone"])
def test_an_input_that_changed_gives_no_output(out: Path, journal: Journal, change: str) -> None:
    ledger, one = Ledger(journal, "", quiet), job(out)
    ledger.begin([one])
    if change == "gone":
        one.source.unlink()
    else:
        one.source.write_bytes(b"another sound")
    (file,) = settle(ledger, one)
    assert ends(ledger) == [("failed", "changed")]
    assert not file.temp.exists() and not one.target.exists()


def test_several_files_of_one_input(out: Path, journal: Journal) -> None:
    """They are one output; none of them replaces what is not ours unless asked, nor another input's."""
    parts, one, other = [out / "a.ch1", out / "a.ch2"], job(out, 0, "a"), job(out, 1, "b")

    def run(overwrite: bool = False) -> list[Reason]:
        ledger = Ledger(journal, "", quiet, overwrite=overwrite)
        if ledger.begin([one]):
            files = [made(part, part.name.encode()) for part in parts]
            ledger.settle(0, Finished(tuple(files), 1.0), [], damaged=False)
            assert not any(file.temp.exists() for file in files)
        return ends(ledger)

    parts[1].write_bytes(b"mine")
    assert run() == [("skipped", "exists")] and parts[1].read_bytes() == b"mine"
    assert run(overwrite=True) == [("done", "")] and parts[1].read_bytes() == b"a.ch2"
    assert run() == [("skipped", "already-done")]
    ledger = Ledger(journal, "", quiet)
    ledger.begin([other])
    foreign = out / "foreign"
    foreign.write_bytes(b"mine")
    files = settle(ledger, other, foreign)  # behind its own name
    assert ends(ledger) == [("skipped", "exists")]
    assert foreign.read_bytes() == b"mine" and not any(file.temp.exists() for file in files)


def test_names_that_some_disks_take_for_one_belong_to_the_first(out: Path, journal: Journal) -> None:
    one, other = job(out, 0, "a"), job(out, 1, "b")
    ledger = Ledger(journal, "", quiet)
    ledger.begin([one, other])
    settle(ledger, one, out / "caf\u00e9")
    files = settle(ledger, other, out / "CAFE\u0301")
    assert ends(ledger) == [("done", ""), ("failed", "collision")]
    assert ledger.summary.results[1].message.endswith("would also be written for a")
    assert not any(file.temp.exists() for file in files)


def test_files_that_are_published_elsewhere(out: Path, journal: Journal) -> None:
    """What is about to appear is on record before; the job ends when all is in place."""
    given: list[tuple[int, list[OutputFile]]] = []
    ledger, one = Ledger(journal, "", quiet), job(out)
    ledger.begin([one], lambda index, files: given.append((index, files)))
    (file,) = settle(ledger, one)
    assert given == [(0, [file])] and ledger.is_open(0)
    assert journal.records["a.wav"].state == "intent"
    journal.place.publish(file.temp, "a.wav")
    ledger.published(0)
    assert ends(ledger) == [("done", "")] and journal.records["a.wav"].state == "done"


def test_a_name_that_cannot_be_given_fails_that_job_alone(
    out: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(temp: Path, key: str) -> None:
        raise InputError("the name is too long", reason="name", hint="Shorten it.")

    ledger, one = Ledger(journal, "", quiet), job(out)
    ledger.begin([one])
    monkeypatch.setattr(journal.place, "publish", refuse)
    (file,) = settle(ledger, one)
    assert ends(ledger) == [("failed", "name")] and ledger.summary.results[0].hint == "Shorten it."
    assert not file.temp.exists()


def test_a_moved_folder_stops_the_run(out: Path, journal: Journal) -> None:
    ledger, one = Ledger(journal, "", quiet), job(out)
    ledger.begin([one])
    out.rename(out.with_name("moved"))
    out.mkdir()
    with pytest.raises(OutputError, match="moved or replaced"):
        settle(ledger, one)
    assert list(out.iterdir()) == []


def chunks(kept: Keep) -> Path:
    """A file of finished chunks, as a worker keeps it."""
    kept.path.parent.mkdir(parents=True, exist_ok=True)
    kept.path.write_text(json.dumps(binding(kept)) + "\n")
    return kept.path


def test_kept_chunks_stay_while_they_are_of_use(out: Path, journal: Journal) -> None:
    ledger = Ledger(journal, "quiet", quiet, generation="old model")
    jobs = [job(out, n, name) for n, name in enumerate("abc")]
    ledger.begin(jobs)
    keeps = [ledger.keep(index) for index in range(3)]
    kept = [chunks(keep) for keep in keeps]
    ledger.sweep_kept()
    assert all(path.exists() for path in kept)
    settle(ledger, jobs[0])
    ledger.fail(1, Failure("nan", "1 sample is NaN"))
    ledger.fail(2, Failure("nan", "1 sample is NaN"))
    louder = Ledger(journal, "loud", quiet, generation="old model")
    assert louder.begin(jobs) == jobs  # all are made again, and of the finished one the chunks are there
    louder.sweep_kept()
    assert [louder.keep(index) for index in range(3)] == keeps
    assert all(path.exists() for path in kept)
    newer = Ledger(journal, "quiet", quiet, generation="new model")
    newer.begin(jobs[1:2])
    newer.sweep_kept()  # b's are of another model, a and c are not in this run
    assert [path.exists() for path in kept] == [True, False, True]


def test_single_files_leave_no_folder_behind(out: Path) -> None:
    ledger, jobs = Ledger(NoJournal(), "", quiet), [job(out), job(out, 1, "b.wav")]
    ledger.begin(jobs)
    kept = chunks(ledger.keep(0))
    assert out in kept.parents
    settle(ledger, jobs[0])
    assert not kept.exists()
    ledger.close()
    assert sorted(path.name for path in out.iterdir()) == ["a.wav"]
    assert ends(ledger) == [("done", ""), ("not-reached", "stopped")]
    assert ledger.open_count == 0


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("modified", [10**18, None])
def test_an_object_is_as_old_as_its_store_says(
    out: Path, journal: Journal, asked: bool, modified: int | None
) -> None:
    """The copy on this disk is removed when its job has ended."""
    local = job(out)
    copies = out.parent / "copies"
    copies.mkdir()
    (copies / "a.wav").write_bytes(b"sound")
    entry = Entry("a.wav", 5, 77, modified)
    one = Job(0, str(copies / "a.wav"), local.writes, "s3://bucket/a.wav", entry)
    began = time.time_ns()
    ledger = Ledger(journal, "", quiet, keep_mtime=asked)
    ledger.begin([one])
    settle(ledger, one)
    aged = one.target.stat().st_mtime_ns == 10**18
    assert aged is (asked and modified is not None)
    assert not copies.exists()
    assert one.target.stat().st_atime_ns > began - 10**9
    assert journal.standing("a.wav", journal.records["a.wav"].recipe, one.source_name) is Standing.DONE


def test_an_output_in_a_store_has_the_stores_name(
    out: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, one = Ledger(journal, "", quiet), job(out)
    ledger.begin([one])
    monkeypatch.setattr(journal.place, "remote", True, raising=False)
    monkeypatch.setattr(journal.place, "name", lambda key: f"s3://bucket/{key}")
    ledger.close()
    results: list[Result] = ledger.summary.results
    assert results[0].target == "s3://bucket/a.wav"
