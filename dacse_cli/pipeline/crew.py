"""The supervisor's side of the model worker: what it holds, how much it may hold, what its death means."""

from __future__ import annotations

import math
import queue
from dataclasses import asdict, dataclass, field

from dacse_cli.errors import DeviceError
from dacse_cli.pipeline.channel import Child, Message
from dacse_cli.pipeline.plan import ChainFiles

MAX_DEATHS = 3
"""Deaths while loading, or files given up, in a row, after which the device is given up."""


@dataclass
class Load:
    """A job ready for the worker. `chunks` is how many rows it will bring at most."""

    index: int
    message: Message
    seconds: float
    rows: int
    deaths: int = 0


@dataclass
class Crew:
    """One worker, restarted when it dies. After a death the jobs it held are tried one at a time."""

    files: ChainFiles
    inbox: queue.SimpleQueue[tuple[Child, Message | None]]
    held: dict[int, Load] = field(default_factory=dict)
    ready: bool = False
    description: Message = field(default_factory=dict)
    _child: Child | None = None
    _deaths: int = 0
    _suspects: int = 0

    def owns(self, child: Child) -> bool:
        return child is self._child

    def start(self) -> None:
        """Start the worker if there is none; it loads in the background."""
        if self._child is None:
            self._child = Child("dacse_cli.pipeline.worker", self.inbox)
            divide = 2 if self._suspects else 1
            self._child.send({"type": "load", "files": asdict(self.files), "divide_batch": divide})

    def loaded(self, description: Message) -> None:
        self.ready = True
        self.description = description

    def has_room(self) -> bool:
        """Whether the worker should get another job: two batches of chunks ahead, at least two files."""
        if not self.ready:
            return False
        if self._suspects:
            return not self.held
        return len(self.held) < 2 or self._chunks_held() < 2 * int(self.description["batch"])

    def _chunks_held(self) -> int:
        stride = float(self.description["stride_seconds"])
        return sum(math.ceil(load.seconds / stride) * load.rows for load in self.held.values())

    def give(self, load: Load) -> None:
        assert self._child is not None
        self.held[load.index] = load
        self._child.send(load.message)

    def release(self, index: int) -> Load:
        """A job has left the worker's hands, finished or failed."""
        self._deaths = 0
        load = self.held.pop(index)
        if load.deaths:
            self._suspects -= 1
        return load

    def bury(self) -> tuple[str, list[Load], list[Load]]:
        """After a death: its cause, the jobs to try again, and those given up (killed two workers).

        Raises `DeviceError` after `MAX_DEATHS` deaths in a row.
        """
        assert self._child is not None
        cause = self._child.cause_of_death()
        self._child, self.ready = None, False
        held = list(self.held.values())
        self.held.clear()
        for load in held:
            load.deaths += 1
        given_up = [load for load in held if load.deaths > 1]
        again = [load for load in held if load.deaths == 1]
        self._deaths += bool(given_up or not held)
        if self._deaths >= MAX_DEATHS:
            raise DeviceError(
                f"the model worker {cause}",
                hint="Try a smaller --batch-size or --chunk, or another --device.",
            )
        self._suspects += len(again) - len(given_up)
        return cause, again, given_up

    def dismiss(self) -> None:
        """No more jobs: the worker ends by itself."""
        if self._child is not None:
            self._child.send({"type": "end"})

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None
