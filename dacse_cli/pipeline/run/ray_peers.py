"""The supervisor's side of Ray: processes that run in actors, anywhere in a cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError

from dacse_cli.errors import DeviceError
from dacse_cli.pipeline.run.ray_host import Host
from dacse_cli.pipeline.wire.failures import failure_of
from dacse_cli.pipeline.wire.messages import Fatal, Message
from dacse_cli.pipeline.wire.process import Inbox

_COMMANDS, _ANSWERS = "commands", "answers"
# one thread per group: commands stay in order, and waiting for answers delays no command
_Host: Any = ray.remote(concurrency_groups={_COMMANDS: 1, _ANSWERS: 1}, max_restarts=0)(Host)
GONE_SECONDS = 10.0
"""How long to wait for the end of an actor that was killed."""
ORPHAN_SECONDS = 2.0
"""How long the child of a killed actor may outlive it, and hold locks on what it was writing."""


class RayPeer:
    """A `Peer` whose child process runs wherever the cluster has what `options` of an actor ask for.

    Until there is room it waits in Ray's queue. Where its machine or its actor is taken away it is `lost`.
    """

    def __init__(
        self, module: str, inbox: Inbox, shared: Sequence[str], options: Mapping[str, object]
    ) -> None:
        self._inbox, self._cause, self.lost = inbox, "", False
        self._actor = _Host.options(**options).remote(module, shared)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        """Runs in its own thread until the child or the actor has ended."""
        try:
            while self._passed_on(ray.get(self._actor.receive.options(concurrency_group=_ANSWERS).remote())):
                pass
            self._cause = ray.get(self._actor.cause_of_death.remote())
        except RayError as error:
            ray.kill(self._actor)  # the actor may still be running although it could not be reached
            self._actor_lost(error)
        self._inbox.put((self, None))

    def _passed_on(self, messages: list[object]) -> bool:
        """Pass on received messages; whether more may follow."""
        for message in messages:
            if message is not None:
                self._inbox.put((self, message))
        return None not in messages

    def _actor_lost(self, error: RayError) -> None:
        if isinstance(error, RayActorError) and error.actor_init_failed:  # as on every machine
            words = str(error).strip().splitlines()[-1]
            hint = "Every machine of the cluster needs the same version of dacse and of its packages."
            failure = DeviceError(f"a machine of the cluster cannot start a worker: {words}", hint=hint)
            self._inbox.put((self, Fatal(failure_of(failure))))
        # Ray kills actors when memory runs out, which a file may have caused
        self.lost = not isinstance(error, OutOfMemoryError)
        self._cause = "was lost with its machine" if self.lost else "was killed, because memory ran out"
        time.sleep(ORPHAN_SECONDS)

    def send(self, message: Message) -> None:
        self._actor.send.options(concurrency_group=_COMMANDS).remote(message)

    def stop(self, cause: str) -> None:
        self._actor.stop.options(concurrency_group=_COMMANDS).remote(cause)

    def kill(self) -> None:
        ray.kill(self._actor)
        self._listener.join(GONE_SECONDS)

    def cause_of_death(self) -> str:
        return self._cause
