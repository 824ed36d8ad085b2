"""Children of the supervisor: what they import, which signals they hear, how much they are given."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dacse_cli.audio.info import AudioInfo
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import LockedError
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.record.no_journal import NoJournal
from dacse_cli.pipeline.request.jobs import Job
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run import forecast
from dacse_cli.pipeline.run.pool import LocalPool
from dacse_cli.pipeline.run.supervisor import Supervisor
from dacse_cli.pipeline.run.workers import Item, Slot
from dacse_cli.pipeline.wire.failures import Failure
from dacse_cli.pipeline.wire.messages import Failed, Form, Loaded, Look, Unreadable, Work
from dacse_cli.pipeline.wire.model_plan import ModelPlan, Part
from dacse_cli.pipeline.wire.process import Child

PLAN = ModelPlan(Part("dac", "codec"), None, None, "cpu", "auto", 1, ChunkOptions(4.0, 0.0, 1.0))
REQUEST = Request(Form.ENHANCE, (), None, ModelOptions(), ChunkOptions(), SoundOptions())


def supervisor_of(ledger):
    pool = LocalPool()
    return Supervisor(REQUEST, PLAN, ledger, lambda event: None, pool.workers, pool.decoders)


def test_a_child_imports_nothing_from_the_users_folder_and_outlives_signals(tmp_path, monkeypatch):
    """A folder of recordings may hold a `runpy.py`; a Ctrl-C goes to all processes of a terminal."""
    for name in ("runpy", "json", "soundfile"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    inbox = queue.SimpleQueue()
    child = Child("dacse_cli.pipeline.children.decoder", inbox)
    for index in range(2):
        child.send(Look(index, Path("absent.wav"), whole=False))
        _, answer = inbox.get(timeout=60)
        assert isinstance(answer, Unreadable), child.cause_of_death()
        assert (answer.id, answer.failure.reason) == (index, "missing")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            child.process.send_signal(number)
    child.kill()


def test_a_child_keeps_its_docstrings(monkeypatch):
    """Under PYTHONOPTIMIZE=2 transformers fails, and the run ended with a hint about batch sizes."""
    started = []
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setattr(subprocess, "Popen", lambda *args, env, **more: started.append(env) or exit())
    with pytest.raises(SystemExit):
        Child("dacse_cli.pipeline.children.model", queue.SimpleQueue())
    assert "PYTHONOPTIMIZE" not in started[0]
    assert "PATH" in started[0]


@pytest.fixture
def sleeper(tmp_path, monkeypatch):
    """A child's module that reads nothing for a long time."""
    (tmp_path / "sleeper_child.py").write_text("import time; time.sleep(300)")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "sleeper_child"


def test_a_child_that_reads_nothing_holds_nobody_up(sleeper):
    """Paths of 4,000 bytes filled the pipe to a hanging decoder; the supervisor hung in the write, deaf to
    signals and to its own time-outs."""
    inbox = queue.SimpleQueue()
    child = Child(sleeper, inbox)
    began = time.monotonic()
    for index in range(64):
        child.send(Look(index, Path("\udcff" * 4000)))
    assert time.monotonic() - began < 5
    child.stop("did not end")
    while inbox.get(timeout=60) != (child, None):
        pass
    assert child.cause_of_death() == "did not end"
    child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends children with their parents")
def test_a_child_that_dies_leaves_no_thread(sleeper):
    """A worker that crashes is replaced; each left a thread that waited for orders to it."""
    inbox = queue.SimpleQueue()
    before = set(threading.enumerate())
    child = Child(sleeper, inbox)
    child.process.kill()
    assert inbox.get(timeout=60) == (child, None)
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
    assert child.process.stdin.closed
    assert set(threading.enumerate()) <= before


def test_a_child_ends_with_its_parent_even_while_it_imports(sleeper, tmp_path):
    """A worker that loads gigabytes reads no input meanwhile: it kept the GPU after its parent was gone."""
    code = (
        "import queue, sys, time\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from dacse_cli.pipeline.wire.process import Child\n"
        f"print(Child({sleeper!r}, queue.SimpleQueue()).process.pid, flush=True)\n"
        "time.sleep(300)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    until = time.monotonic() + 30
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_token_files_are_handed_out_like_others():
    """Their length is unknown: counted as nothing, all of them are in the worker's hands at once, and when
    it dies all are under suspicion."""

    class Deaf:
        def send(self, message):
            pass

    slot = Slot(PLAN, peer=Deaf(), loaded=Loaded(4, 4.0, "a fake"))
    for index in range(100):
        if slot.has_room():
            path = Path(f"{index}.tokens.npz")
            work = Work(index, path, path, Form.ENHANCE, SoundOptions(), None)
            slot.give(Item(work, 0.0, 1))
    assert len(slot.held) == 12


def test_a_file_that_another_run_writes_stops_this_one():
    """Exit 7, not a failed model: the other run holds the files that come next, too."""
    supervisor = supervisor_of(Ledger(NoJournal(), "", print))
    with pytest.raises(LockedError, match="held"):
        supervisor._job_failed(Failed(0, Failure("locked", "held", exit_code=7)))


def test_the_longest_file_is_begun_first(tmp_path, monkeypatch):
    """Else a run ends with one device at one long file, its batches almost empty."""
    jobs = [Job(i, str(tmp_path / f"{i}.wav"), str(tmp_path / f"out{i}.wav"), f"{i}.wav") for i in range(4)]
    ledger = Ledger(NoJournal(), "", lambda event: None)
    for job in jobs:
        job.source.write_bytes(b"")
    ledger.begin(jobs)
    supervisor = supervisor_of(ledger)
    for job, frames in zip(jobs, (10, 40, 40, 20), strict=True):
        supervisor._infos[job.index] = AudioInfo(frames, 10, 1, "WAV", "PCM_16", 99)
    monkeypatch.setattr(supervisor._workers, "start", lambda seconds: None)
    monkeypatch.setattr(supervisor, "_hand_out", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        supervisor.run(jobs, probed=True)
    assert list(supervisor._to_scan) == [1, 2, 3, 0]


def test_a_dry_run_fetches_nothing(tmp_path, monkeypatch):
    """It writes nothing, so it writes no gigabytes of weights into a cache either."""
    (tmp_path / "a.wav").write_bytes(b"")

    def find(request, progress):
        assert request.models.offline
        raise KeyboardInterrupt

    monkeypatch.setattr(forecast, "find_models", find)
    request = Request(
        Form.ENHANCE, (str(tmp_path),), str(tmp_path / "out"), ModelOptions(), ChunkOptions(), SoundOptions()
    )
    with pytest.raises(KeyboardInterrupt):
        forecast.forecast(request, print)


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="reads limits from /proc")
def test_parsers_of_foreign_files_run_under_limits(tmp_path):
    """A parser that a file has taken over could write anywhere, or fill the memory of the machine."""
    inbox = queue.SimpleQueue()
    child = Child("dacse_cli.pipeline.children.decoder", inbox)
    try:
        child.send(Look(1, tmp_path))
        assert inbox.get(timeout=60)[1].failure.reason == "not-a-file"
        limits = Path(f"/proc/{child.process.pid}/limits").read_text()
    finally:
        child.kill()
    values = {line[:25].strip(): line[25:].split()[:2] for line in limits.splitlines()[1:]}
    assert values["Max file size"] == values["Max core file size"] == ["0", "0"]
    assert "unlimited" not in values["Max address space"]
