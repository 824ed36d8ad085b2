"""Whole commands, broken: their disk, their workers, their signals. Real processes, stand-in models.

The figures (R2 through the command, R9, R11), printed by:

    pytest tests/reliability/test_command_faults.py -m slow -s
"""

import contextlib
import errno
import functools
import os
import random
import signal
import time
from pathlib import Path

import pytest
from breaking import Command, Disk, clear, outputs, parts, tree
from test_syscall_loop import EVER, ONCE, loop

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")


@pytest.fixture
def command(tmp_path):
    victim = Command(tmp_path / "report")
    yield victim
    victim.close()


@pytest.fixture
def bad_disk(shim, tmp_path):
    disk = Disk(shim, tmp_path / "out", tmp_path / "state", functools.partial(Command, tmp_path / "report"))
    yield disk
    disk.victim.close()


@pytest.mark.ci
def test_a_command_on_a_disk_that_fails(bad_disk, inputs, tmp_path):
    """A sample of the loop: the supervisor, its worker, and the chunks the worker keeps."""
    arms = [{"error": errno.ENOSPC, **EVER}, {"kill": True}]
    calls, runs, problems = loop(bad_disk, inputs, tmp_path / "out", arms, step=9)
    assert calls > 60
    assert runs > 8
    print(f"\nR2, the command, every ninth call: {calls} calls, {runs} broken runs, {len(problems)} problems")
    assert not problems, "\n".join(problems)


@pytest.mark.slow
def test_a_command_at_every_call(bad_disk, inputs, tmp_path):
    arms = [{"error": code, **how} for code in (errno.ENOSPC, errno.EIO) for how in (ONCE, EVER)]
    calls, runs, problems = loop(bad_disk, inputs, tmp_path / "out", [*arms, {"kill": True}])
    print(f"\nR2, the command: {calls} calls, {runs} broken runs, {len(problems)} problems")
    assert not problems, "\n".join(problems)


def in_session(session):
    """Processes of a session that are still there, and no zombies."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, its = stat.read_text().rsplit(")", 1)[1].split()[:4]
            if int(its) == session and state != "Z":
                found.append(int(stat.parent.name))
    return found


def length_of_a_run(command, source, output, **environment):
    command.run(source, output)  # the first fork is slower than all others
    clear(output)
    began = time.monotonic()
    command.start(source, output, **environment)
    assert command.wait().code == 0
    clear(output)
    return time.monotonic() - began


def interrupt(command, source, output, points, seed=0):
    """Signals at random points of runs; seconds to the end of each, and what was wrong."""
    rng = random.Random(seed)
    length = length_of_a_run(command, source, output, STUB_SECONDS="0.05")
    took, wrong = [], []
    while len(took) < points:
        number = rng.choice([signal.SIGINT, signal.SIGTERM])
        pid = command.start(source, output, STUB_SECONDS="0.05")
        time.sleep(rng.uniform(0, length))
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        end = command.wait()
        if end.code == 0:  # it was faster
            clear(output)
            continue
        took.append(time.monotonic() - began)
        if end.code not in (128 + number, -number) or (end.summary is None and outputs_of(output)):
            wrong.append(f"exit {end.code} after signal {number}: {command.said}")
        if parts(output) or in_session(pid):
            wrong.append(f"left: {parts(output)} {in_session(pid)}")
        clear(output)
    return sorted(took), wrong


def outputs_of(output):
    return outputs(output) if output.exists() else {}


def twice(command, source, output, points):
    """Seconds from the second signal to the end, of runs that would never end."""
    took, wrong = [], []
    for _ in range(points):
        pid = command.start(source, output)
        until = time.monotonic() + 60
        while "1.flac" not in outputs_of(output):
            assert time.monotonic() < until
            time.sleep(0.01)
        os.kill(pid, signal.SIGINT)
        time.sleep(0.2)
        assert in_session(pid)  # it waits for what it takes to be almost done
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        end = command.wait()
        took.append(time.monotonic() - began)
        if end.code != 130 or parts(output) or in_session(pid):
            wrong.append(f"exit {end.code}, {parts(output)}, {in_session(pid)}")
        clear(output)
    return took, wrong


def signals(command, tmp_path, points, doubles):
    """What was wrong after signals at random moments and after second ones; whether all ended in time."""
    source = tree(tmp_path / "in", 6)
    took, wrong = interrupt(command, source, tmp_path / "out", points)
    endless = tree(tmp_path / "endless", 2)
    (endless / "0.wav").rename(endless / "9-never-ends.wav")
    second, also_wrong = twice(command, endless, tmp_path / "out", doubles)
    p95 = took[int(0.95 * (len(took) - 1))]
    print(f"\nR9: {points} signals: p95 {p95:.2f} s, max {took[-1]:.2f} s")
    print(f"R9: {doubles} second signals: max {max(second):.2f} s")
    return wrong + also_wrong, p95 <= 10 and took[-1] <= 15 and max(second) <= 2


def test_a_signal_at_any_moment_leaves_nothing(command, tmp_path):
    """While children start, while they load, between a rename and its record."""
    wrong, in_time = signals(command, tmp_path, 6, 1)
    assert not wrong, "\n".join(wrong)
    assert in_time


@pytest.mark.slow
def test_100_signals(command, tmp_path):
    wrong, in_time = signals(command, tmp_path, 100, 10)
    assert not wrong, "\n".join(wrong)
    assert in_time


def kill_workers(command, tmp_path, points, seed=0):
    """Workers that end in every way at random moments; inputs lost, and runs that were not as others."""
    rng = random.Random(seed)
    source, output, pids = tree(tmp_path / "in", 8), tmp_path / "out", tmp_path / "pid"
    length = length_of_a_run(command, source, output, STUB_SECONDS="0.05")
    assert command.run(source, output).code == 0
    wanted = outputs(output)
    lost = hit = 0
    while hit < points:
        clear(output)
        pids.unlink(missing_ok=True)
        number = rng.choice([signal.SIGSEGV, signal.SIGKILL, signal.SIGBUS, signal.SIGABRT, signal.SIGSTOP])
        patience = "5" if number == signal.SIGSTOP else "600"
        command.start(source, output, STUB_SECONDS="0.05", STUB_PIDS=str(pids), STUB_PATIENCE=patience)
        time.sleep(rng.uniform(0, length))
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
            os.kill(int(pids.read_text()), number)
            hit += 1
        end = command.wait()
        lost += end.code != 0 or outputs(output) != wanted or bool(parts(output))
    return lost


@pytest.mark.ci
def test_a_worker_may_die_at_any_moment(command, tmp_path):
    """One file too many was given up, or an output written twice."""
    assert kill_workers(command, tmp_path, 5) == 0


@pytest.mark.slow
def test_100_dead_workers(command, tmp_path):
    lost = kill_workers(command, tmp_path, 100)
    print(f"\nR11: 100 workers killed, stopped or crashed: {lost} runs lost an input")
    assert lost == 0
