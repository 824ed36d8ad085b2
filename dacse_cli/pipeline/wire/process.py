"""Child processes and the lines of JSON that go to and from them. No pickles are exchanged.

A child reads messages from its standard input and answers on its standard output; what its libraries print
goes to standard error, whose end the parent keeps for the report of a crash. A child ends when its input
does, so it cannot outlive a killed parent.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from dacse_cli.errors import DeviceError
from dacse_cli.pipeline.wire.coding import CodingError
from dacse_cli.pipeline.wire.messages import Message, decode, encode
from dacse_cli.platform import how_it_ended


class Peer(Protocol):
    """The other end of a connection: a child process here, or one on another machine.

    Its messages arrive in the inbox it was given as (peer, message); (peer, None) marks its end.
    """

    @property
    def lost(self) -> bool:
        """After its end: whether its machine was taken away, so that no input is the cause."""

    def send(self, message: Message) -> None:
        """Queue a message; does not wait."""

    def kill(self) -> None:
        """End it now."""

    def stop(self, cause: str) -> None:
        """Kill it for a `cause`; its end arrives in the inbox like any other."""

    def cause_of_death(self) -> str:
        """Why it ended, as a predicate: "crashed (SIGSEGV)"."""


Inbox = queue.SimpleQueue[tuple[object, object]]
"""Everything that happens in a run: (sender, message). A message of None is the sender's end."""
Spawn = Callable[[str, Inbox], Peer]
"""Starts a peer that runs a module and posts to the inbox."""

_START = """
import sys
sys.path[:] = {path!r}
from dacse_cli.platform import end_with_parent, ignore_stop_signals
end_with_parent({parent})
ignore_stop_signals()
import runpy
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
"""How a child starts. Its path is the parent's: `python -m` would import a file in the user's folder that has
the name of a library."""
_WITHOUT = ("PYTHONOPTIMIZE",)
"""Variables that children do not get: transformers does not work without docstrings (-OO)."""

_HINTS = {
    errno.EMFILE: "This shell allows too few open files: `ulimit -n 256`, then run the same command again.",
    errno.EAGAIN: "This shell allows too few processes: `ulimit -u` says how many.",
    errno.ENOMEM: "End other programs, then run the same command again.",
}


class Child:
    """A child process running `module`; its messages are posted to `inbox` as (child, message).

    The last entry of a child is (child, None). Raises `DeviceError` where no process can be started.
    """

    lost = False

    def __init__(self, module: str, inbox: Inbox) -> None:
        command = [sys.executable, "-c", _START.format(path=sys.path, module=module, parent=os.getpid())]
        environment = {name: value for name, value in os.environ.items() if name not in _WITHOUT}
        pipe = subprocess.PIPE
        try:
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
        except OSError as error:
            raise DeviceError(
                f"cannot start a process: {error.strerror}", hint=_HINTS.get(error.errno or 0)
            ) from error
        self.stderr: deque[str] = deque(maxlen=40)
        self._cause: str | None = None
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()
        threading.Thread(target=self._read, args=(inbox,), daemon=True).start()
        self._drain = threading.Thread(target=self._keep_stderr, daemon=True)
        self._drain.start()

    def _read(self, inbox: Inbox) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                inbox.put((self, decode(line)))
            except CodingError as error:  # an incomplete line, or no message
                if line.endswith(b"\n"):
                    self.stop(f"sent {error}")
                break
        self.end_input()  # otherwise the writing thread would wait forever
        inbox.put((self, None))

    def _write(self) -> None:
        """In a thread: the pipe to a hanging child fills up, and that must not block the parent."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self.process.stdin as pipe:
            while (line := self._outgoing.get()) is not None:
                pipe.write(line)
                pipe.flush()

    def _keep_stderr(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.stderr.append(line.decode(errors="replace").rstrip())

    def send(self, message: Message) -> None:
        """Queue a message; does not wait. The end of a child is reported in the inbox."""
        self._outgoing.put(encode(message))

    def end_input(self) -> None:
        """No more messages will be sent."""
        self._outgoing.put(None)

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
        """Why it ended, as a predicate: "crashed (SIGSEGV)"."""
        code = self.process.wait()
        if self._cause is not None:
            return self._cause
        self._drain.join(timeout=1)
        last = next((line for line in reversed(self.stderr) if line.strip()), "no message")
        return how_it_ended(code) or f"ended with status {code}: {last}"


def serve(handle: Callable[[Iterator[Message], Callable[[Message], None]], None]) -> None:
    """Main function of a child: `handle` gets the messages as they come and a function to answer with."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the messages
    lock = threading.Lock()

    def answer(message: Message) -> None:
        with lock:
            answers.write(encode(message))
            answers.flush()

    try:
        handle(map(decode, sys.stdin.buffer), answer)
    except BrokenPipeError:
        os._exit(1)  # the supervisor has died
