"""`dacse` as it is typed, in a fork of a server process that has imported everything already.

A real process with its own descriptors, folder, environment, signals and exit code; its children are forks as
well. A fresh interpreter takes about four seconds of processor time for the same, nearly all of it imports.
What the start of an interpreter and its imports do is tested with `python -m dacse_cli`.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path


class Started:
    """A command that runs: what `subprocess.Popen` offers, as far as tests need it."""

    def __init__(self, words, stdin=b"", cwd=None, env=None, text=True):
        self.args = ["dacse", *map(str, words)]
        self.returncode = None
        self._text = text
        self._said = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self._ended, end = os.pipe()
        reading, writing = os.pipe()
        threading.Thread(target=_feed, args=(writing, stdin), daemon=True).start()
        order = {"args": self.args, "cwd": str(cwd or Path.cwd()), "env": dict(env or os.environ)}
        descriptors = [reading, *(file.fileno() for file in self._said), end]
        socket.send_fds(_server(), [json.dumps(order).encode()], descriptors)
        os.close(reading)
        os.close(end)
        self.pid = int(self._line())

    def _line(self):
        """The next line of the server about this command: its process, then its exit status."""
        text = b""
        while not text.endswith(b"\n"):
            part = os.read(self._ended, 1)
            if not part:
                raise RuntimeError("the server of forks has ended")
            text += part
        return text

    def send_signal(self, number):
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def poll(self):
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout=600):
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = int(self._line())
            os.close(self._ended)
        return self.returncode

    def communicate(self, timeout=600):
        """What it wrote to standard output and error until it ended."""
        self.wait(timeout)
        said = []
        for file in self._said:
            file.seek(0)
            said.append(file.read().decode() if self._text else file.read())
            file.close()
        return tuple(said)


def start(*words, **options):
    """Start `dacse *words`."""
    return Started(words, **options)


def typed(*words, check=False, timeout=120, **options):
    """Run `dacse *words` to its end, as `subprocess.run` with captured output would; `stdin` is fed to it."""
    run = Started(words, **options)
    try:
        said = run.communicate(timeout)
    except subprocess.TimeoutExpired:
        run.kill()
        raise
    done = subprocess.CompletedProcess(run.args, run.returncode, *said)
    if check:
        done.check_returncode()
    return done


def _feed(writing, given):
    with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:  # a command need not read all
        pipe.write(given)


@functools.cache
def _server():
    """The connection to the server of this test process. It ends with the connection."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here = Path(__file__).parent
    command = [sys.executable, here / "typed_server.py", str(theirs.fileno())]
    path = os.pathsep.join((str(here / "reliability"), os.environ["PYTHONPATH"]))
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env={**os.environ, "PYTHONPATH": path})
    theirs.close()

    def end():
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
