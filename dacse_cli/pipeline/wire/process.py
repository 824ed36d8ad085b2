"""Lines of JSON between the supervisor and its child processes. No pickles cross a process border.

A child reads commands from its standard input and answers on its standard output; whatever its libraries
print goes to standard error, which the parent keeps for the report of a crash. A child ends when its input
does, so it cannot outlive a killed parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

Message = dict[str, Any]


class Peer(Protocol):
    """Whoever is at the other end of a channel: a child process here, or one on another machine.

    What it says arrives in the inbox it was given as (peer, message); (peer, None) is its end.
    """

    @property
    def lost(self) -> bool:
        """After its end: whether its machine was taken away, so that no input is to blame."""

    def send(self, message: Message) -> None:
        """Hand a command over; does not wait."""

    def kill(self) -> None:
        """End it now."""

    def stop(self, cause: str) -> None:
        """Kill it for a `cause`; its end arrives in the inbox like any other."""

    def cause_of_death(self) -> str:
        """Why it ended, for people."""


Inbox = queue.SimpleQueue[tuple[Any, Message | None]]
"""Where a supervisor hears of everything: (who, what)."""
Spawn = Callable[[str, Inbox], Peer]
"""Starts a peer that runs a module and tells the inbox."""

_START = """
import sys
sys.path[:] = {path!r}
import ctypes, os, runpy, signal
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != {parent}:
        sys.exit()
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
"""How a child starts: with the parent's path, because `python -m` would import what lies in the user's folder
under the name of a library; to end with its parent, even while it imports and reads nothing; and deaf to
signals sent to the whole group, of which the supervisor decides."""


class Child:
    """A child process running `module`; its messages land in `inbox` as (child, message).

    The last entry of a child is (child, None): its output has ended.
    """

    lost = False

    def __init__(self, module: str, inbox: Inbox) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path, module=module, parent=os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.stderr: deque[str] = deque(maxlen=40)
        self._cause: str | None = None
        self._orders: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()
        threading.Thread(target=self._read, args=(inbox,), daemon=True).start()
        self._drain = threading.Thread(target=self._keep_stderr, daemon=True)
        self._drain.start()

    def _read(self, inbox: Inbox) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                inbox.put((self, json.loads(line)))
            except ValueError:  # half a line from a dying child
                break
        self.end_input()  # or the thread that writes would wait for orders to a dead child
        inbox.put((self, None))

    def _write(self) -> None:
        """In its own thread: where a child hangs the pipe fills up, and the parent must not hang too."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self.process.stdin as pipe:
            while (line := self._orders.get()) is not None:
                pipe.write(line)
                pipe.flush()

    def _keep_stderr(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.stderr.append(line.decode(errors="replace").rstrip())

    def send(self, message: Message) -> None:
        """Hand a command over; does not wait. That a child is gone shows in the inbox."""
        self._orders.put(json.dumps(message).encode() + b"\n")

    def end_input(self) -> None:
        """Say that no more commands will come."""
        self._orders.put(None)

    def kill(self) -> None:
        """End it now and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        self.end_input()

    def stop(self, cause: str) -> None:
        """Kill it for a `cause`; its end arrives in the inbox like any other."""
        self._cause = cause
        self.process.kill()

    def cause_of_death(self) -> str:
        """Why it ended, for people."""
        code = self.process.wait()
        if self._cause is not None:
            return self._cause
        self._drain.join(timeout=1)
        if code == -signal.SIGKILL:
            return "killed, most likely because memory ran out"
        if code < 0:
            return f"crashed ({signal.Signals(-code).name})"
        last = next((line for line in reversed(self.stderr) if line.strip()), "no message")
        return f"ended with status {code}: {last}"


def serve(handle: Callable[[Iterator[Message], Callable[[Message], None]], None]) -> None:
    """Main of a child: give `handle` the commands as they come and a function to answer with."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # stray prints must not break the protocol
    lock = threading.Lock()

    def answer(message: Message) -> None:
        with lock:
            answers.write(json.dumps(message).encode() + b"\n")
            answers.flush()

    try:
        handle(commands(), answer)
    except BrokenPipeError:
        os._exit(1)  # the supervisor is gone: nobody is left to tell


def commands() -> Iterator[Message]:
    """Commands from standard input, until it ends."""
    for line in sys.stdin.buffer:
        yield json.loads(line)
