"""`dacse watch`: which files are complete, and what does not end it."""

from dataclasses import replace

import pytest

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import LockedError, UsageError
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run.watch import Inputs, watch
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.pipeline.wire.outcome import Summary

SECOND = 10**9


def test_a_file_is_taken_once_it_has_not_changed_for_a_while():
    inputs = Inputs(settled=5)
    assert inputs.ready({"a": (1, 0), "b": (1, 97 * SECOND)}, now=0, today=100) == {"a": (1, 0)}
    inputs.taken = {"a": (1, 0)}
    assert inputs.ready({"a": (1, 0), "b": (2, 98 * SECOND)}, now=3, today=101) == {}
    assert inputs.ready({"a": (1, 0), "b": (2, 98 * SECOND)}, now=9, today=102) == {"b": (2, 98 * SECOND)}
    assert inputs.ready({"a": (3, 0)}, now=10, today=200) == {"a": (3, 0)}  # it has changed


def test_a_file_of_a_clock_that_is_ahead_is_taken_too():
    """A file two hours in the future was never taken up, and nothing said so."""
    inputs, stamp = Inputs(settled=5), (1, 7200 * SECOND)
    assert inputs.ready({"a": stamp}, now=0, today=0) == {}
    assert inputs.ready({"a": stamp}, now=6, today=6) == {"a": stamp}


@pytest.fixture
def request_(tmp_path):
    (tmp_path / "in").mkdir()
    options = ModelOptions(), ChunkOptions(), SoundOptions()
    return Request(Form.ENHANCE, (str(tmp_path / "in"),), str(tmp_path / "out"), *options)


class Stopped(Exception):
    pass


def watched(request, run, steps):
    """Remarks and runs of a watch whose pauses are `steps`: called one after the other."""
    remarks, runs, waits = [], [], list(steps)

    def wait(seconds):
        if not waits:
            raise Stopped
        waits.pop(0)()

    def note(todo):
        runs.append(sorted(path.rsplit("/", 1)[1] for path in todo.only))
        return run(todo)

    with pytest.raises(Stopped):
        list(watch(request, note, remarks.append, every=1, settled=0, wait=wait))
    return remarks, runs


def test_only_what_is_new_or_changed_is_run(request_, tmp_path):
    folder = tmp_path / "in"
    steps = [
        lambda: (folder / "a.wav").write_bytes(b"1"),
        lambda: None,
        lambda: (folder / "b.wav").write_bytes(b"1"),
        lambda: (folder / "a.wav").write_bytes(b"22"),
    ]
    assert watched(request_, lambda todo: Summary(), steps) == ([], [["a.wav"], ["b.wav"], ["a.wav"]])


def test_what_passes_by_itself_is_told_once_and_tried_again(request_, tmp_path):
    """The folder away for a moment, or another run on the output, ended the watch."""
    folder, left = (
        tmp_path / "in",
        [LockedError("another run is writing"), LockedError("another run is writing")],
    )
    (folder / "a.wav").write_bytes(b"1")

    def run(todo):
        if left:
            raise left.pop()
        return Summary()

    steps = [
        lambda: None,
        lambda: None,
        lambda: folder.rename(tmp_path / "away"),
        lambda: None,
        lambda: (tmp_path / "away").rename(folder),
    ]
    remarks, runs = watched(request_, run, steps)
    assert runs == [["a.wav"]] * 3
    assert len(remarks) == 2
    assert "another run is writing; trying again" in remarks[0] and "no such file" in remarks[1]


def test_a_file_that_vanishes_before_its_run_ends_nothing(request_, tmp_path):
    """The only new file was moved away between the look and the run, and the watch ended with exit code 4."""
    file = tmp_path / "in" / "a.wav"
    file.write_bytes(b"1")

    def run(todo):
        if file.exists() and file.read_bytes() == b"1":
            file.unlink()
        plan(todo)
        return Summary()

    remarks, runs = watched(request_, run, [lambda: None, lambda: file.write_bytes(b"22")])
    assert (remarks, runs) == ([], [["a.wav"], ["a.wav"]])


def test_of_two_inputs_with_one_output_the_second_fails(request_, tmp_path):
    """`x.wma` beside `x.wav` ended the watch."""
    for name in ("x.wav", "x.wma"):
        (tmp_path / "in" / name).write_bytes(b"1")
    seen = []
    watched(request_, lambda todo: seen.append(todo.collisions_fail) or Summary(), [])
    assert seen == [True]


def test_a_folder_that_was_never_there_is_an_error(request_, tmp_path):
    absent = replace(request_, inputs=(str(tmp_path / "absent"),))
    with pytest.raises(UsageError, match="no such file"):
        next(watch(absent, lambda todo: Summary(), print, every=1, settled=0))
