"""Memory: a day of sound takes what a minute takes, many files hardly more than few, a limit is kept to.

The figures (R6, R7, R19), printed by:

    pytest tests/reliability/test_memory.py -m slow -s
"""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from breaking import Command
from test_command_faults import in_session

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc"),
]


def day(path, seconds, rate=8000):
    """A WAV of 8 bits whose samples are a hole in the file: no silence, and next to nothing on the disk."""
    soundfile.write(path, np.full(rate, -1.0), rate, subtype="PCM_U8")
    frames = seconds * rate
    with path.open("r+b") as file:
        head = file.read(44)
        file.seek(0)
        file.write(head[:4] + (36 + frames).to_bytes(4, "little") + head[8:40] + frames.to_bytes(4, "little"))
        file.truncate(44 + frames)
    return path


def peaks_mb(command, source, output):
    """The largest memory of each process of a run, the supervisor's first."""
    pid = command.start(source, output)
    peaks = {pid: 0.0}
    while command.process.poll() is None and (alive := in_session(pid)):
        for process in alive:
            with contextlib.suppress(OSError, StopIteration):
                status = Path(f"/proc/{process}/status").read_text().splitlines()
                line = next(line for line in status if line.startswith("VmHWM"))
                peaks[process] = int(line.split()[1]) / 1024
        time.sleep(0.05)
    assert command.wait().code == 0, command.said
    return list(peaks.values())


def test_a_day_takes_the_memory_of_a_minute(tmp_path):
    command = Command(tmp_path / "report")
    try:
        command.run(day(tmp_path / "warm.wav", 5), tmp_path / "warm")
        minute = sum(peaks_mb(command, day(tmp_path / "minute.wav", 60), tmp_path / "out"))
        hours24 = sum(peaks_mb(command, day(tmp_path / "day.wav", 24 * 3600), tmp_path / "out"))
    finally:
        command.close()
    (tmp_path / "out" / "day.wav").unlink()
    print(f"\nR6: {minute:.0f} MB for a minute, {hours24:.0f} MB for 24 hours: {hours24 - minute:+.1f} MB")
    assert hours24 - minute <= 64


def test_each_file_takes_little_of_the_supervisor(tmp_path):
    """A list kept for each file, and a hundred thousand of them end a run on a small machine.

    Between two large folders, so that tables which double now and then weigh little.
    """
    wave = 0.1 * np.random.default_rng(0).standard_normal(800)
    for count in (1000, 5000):
        (tmp_path / str(count)).mkdir()
        for i in range(count):
            soundfile.write(tmp_path / str(count) / f"{i}.wav", wave, 8000)
    command = Command(tmp_path / "report")
    try:
        few, many = (
            peaks_mb(command, tmp_path / str(count), tmp_path / f"out{count}")[0] for count in (1000, 5000)
        )
    finally:
        command.close()
    print(f"\nR19: {(many - few) * 1024 * 1024 / 4000:.0f} bytes per file in the supervisor")
    assert (many - few) * 1024 * 1024 / 4000 <= 2048


@pytest.fixture
def group():
    """A control group of memory (version 1) of 1 GB below this process's own."""
    own = next(
        (line for line in Path("/proc/self/cgroup").read_text().splitlines() if ":memory:" in line), ""
    )
    folder = Path("/sys/fs/cgroup/memory" + own.rpartition(":")[2]) / f"dacse-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(1 << 30))
    except OSError as error:
        pytest.skip(f"needs a control group of its own to limit memory: {error}")
    yield folder
    with contextlib.suppress(OSError):
        folder.rmdir()


def test_a_run_stays_within_its_container(tmp_path, tiny_model, group):
    """A budget from the machine's memory gets a run killed where the container has less."""
    rng = np.random.default_rng(0)
    for i in range(4):
        soundfile.write((tmp_path / f"{i}.wav"), 0.1 * rng.standard_normal(16000 * 20), 16000)
    code = (
        "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])"
    )
    run = [sys.executable, "-m", "dacse_cli", "enhance", str(tmp_path), str(tmp_path / "out")]
    command = [sys.executable, "-c", code, str(group / "cgroup.procs"), *run, "--model", str(tiny_model)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    most = int((group / "memory.max_usage_in_bytes").read_text()) / 1e6
    print(f"\nR7: finished in a control group of 1 GB with {most:.0f} MB")
