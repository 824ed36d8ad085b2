"""A process that can be broken again and again, a disk that breaks it, and what to look at afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

HERE = Path(__file__).parent
FAULTS = struct.Struct("6q")


@dataclass(frozen=True)
class End:
    """How one run ended: exit code (negative: killed by that signal) and its summary, if it gave one."""

    code: int
    summary: dict | None


class Victim:
    """Gives orders to `victim.py`."""

    script = "victim.py"

    def __init__(self, **environment):
        path = os.pathsep.join((str(HERE), os.environ.get("PYTHONPATH", "")))
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / self.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, **environment},
        )

    def start(self, source, output, overwrite=False, shard=None, cache=None):
        """Begin a run; the pid it has."""
        order = {"input": str(source), "output": str(output), "overwrite": overwrite, "shard": shard}
        order["cache"] = cache
        return self._order(order)

    def _order(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        # the fork may speak first
        self._early = []
        while not (line := self.process.stdout.readline().strip()).isdigit():
            assert line, "the victim is gone"
            self._early.append(line)
        return int(line)

    def wait(self):
        lines = list(self._early)
        while not lines or not lines[-1].startswith("ended "):
            line = self.process.stdout.readline().strip()
            assert line, "the victim is gone"
            lines.append(line)
        return End(int(lines.pop().split()[1]), json.loads(lines[0]) if lines else None)

    def run(self, source, output, **more):
        self.start(source, output, **more)
        return self.wait()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Command(Victim):
    """Gives orders to `command_victim.py`: the real command line, its summary read from `--json`."""

    script = "command_victim.py"

    def __init__(self, report, **environment):
        super().__init__(**environment)
        self._report = Path(report)

    def start(self, source, output, *flags, **environment):
        args = ["enhance", str(source), str(output), "--json", *flags]
        return self._order({"args": args, "report": str(self._report), "environment": environment})

    def run(self, source, output, *flags, **environment):
        self.start(source, output, *flags, **environment)
        return self.wait()

    @property
    def said(self):
        """All that the last run has printed."""
        return self._report.read_text()

    def wait(self):
        code = super().wait().code
        found = [json.loads(line) for line in self.said.splitlines() if line.startswith('{"type": "summary"')]
        summary = found[-1] if found else None
        return End(code, {**(summary or {}), "bug": self.said} if code == 1 else summary)


class Disk:
    """The shim's controls. `victim` is under it."""

    def __init__(self, library, folder, state, victim=Victim):
        state.write_bytes(bytes(FAULTS.size))
        with state.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), FAULTS.size)
        self.victim = victim(LD_PRELOAD=str(library), FAULT_STATE=str(state), FAULT_FOLDER=str(folder))

    def arm(self, at=0, error=0, *, sticky=False, kill=False):
        """Fail call number `at` from now; 0 fails none."""
        self._memory[:] = FAULTS.pack(0, at, sticky, error, kill, 0)

    @property
    def calls(self):
        """Calls below the folder since `arm`."""
        return FAULTS.unpack(self._memory[:])[0]

    @property
    def hits(self):
        """Calls failed since `arm`."""
        return FAULTS.unpack(self._memory[:])[5]


def tree(root, recordings, samples=1500):
    """`recordings` short recordings, WAV and FLAC in turn, and one token file."""
    rng = np.random.default_rng(0)
    (root / "sub").mkdir(parents=True)
    for i in range(recordings):
        name = f"{i}.flac" if i % 2 else f"{i}.wav"
        soundfile.write(root / name, 0.1 * rng.standard_normal(samples), 16000)
    (root / "sub" / "codes.tokens.safetensors").write_bytes(bytes(range(256)) * 20)
    return root


def finals(folder):
    """Every file under a final name, by relative path."""
    return {
        str(path.relative_to(folder)): path
        for path in folder.rglob("*")
        if path.is_file() and ".dacse" not in path.parts and not path.name.endswith(".dacse-part")
    }


def outputs(folder):
    """Hash of every file under a final name."""
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in finals(folder).items()}


def parts(folder):
    """Temporary files."""
    return list(folder.rglob(".*.dacse-part"))


def stamps(folder):
    """Modification time of every file under a final name: a file that is done again gets a new one."""
    return {name: path.stat().st_mtime_ns for name, path in finals(folder).items()}


def clear(folder):
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
