"""The Ray actor: holds one child process on its machine and passes messages on. Imports no ray, no torch.

The model lives in the child, as on a single machine: it may crash without ending the actor, is confined and
watched in the same way, and ends with the actor. Messages are small: paths, facts, results; never samples.
"""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from dacse_cli.errors import DeviceError
from dacse_cli.pipeline.wire.failures import failure_of
from dacse_cli.pipeline.wire.messages import Fatal, Message
from dacse_cli.pipeline.wire.process import Child, Inbox

WAIT_SECONDS = 30.0
"""How long a request for messages waits for the first one."""
GATHER_SECONDS = 0.02
"""How long it then waits for more: a worker that ends a file takes up the next at once."""


class Host:
    """`module` is what the child runs; `shared` are paths that must also exist on this machine."""

    def __init__(self, module: str, shared: Sequence[str]) -> None:
        self._inbox: Inbox = queue.SimpleQueue()
        for path in shared:
            if not Path(path).exists():
                self._inbox.put((None, _blind(path)))
        self._child = Child(module, self._inbox)

    def send(self, message: Message) -> None:
        """Send a message to the child."""
        self._child.send(message)

    def stop(self, cause: str) -> None:
        """Kill the child for a `cause`."""
        self._child.stop(cause)

    def receive(self) -> list[object]:
        """The child's messages since the last call, as soon as there are any; None is its end."""
        said: list[object] = []
        try:
            said.append(self._inbox.get(timeout=WAIT_SECONDS)[1])
            time.sleep(GATHER_SECONDS)
            while True:
                said.append(self._inbox.get_nowait()[1])
        except queue.Empty:
            return said

    def cause_of_death(self) -> str:
        """Why the child ended, for display."""
        return self._child.cause_of_death()


def _blind(path: str) -> Message:
    hint = "Give folders that every machine of the cluster has mounted in the same place."
    where = f"{socket.gethostname()}, a machine of the cluster,"
    return Fatal(failure_of(DeviceError(f"{where} does not see {path}", hint=hint)))
