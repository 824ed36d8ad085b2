"""The supervisor's side of the model processes: the files each works on, and what happens when one dies."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from dacse_cli.errors import DeviceError
from dacse_cli.pipeline.wire.messages import End, Load, Loaded, Work
from dacse_cli.pipeline.wire.model_plan import ModelPlan
from dacse_cli.pipeline.wire.process import Child, Inbox, Peer, Spawn
from dacse_cli.platform import cores

MODULE = "dacse_cli.pipeline.children.model"
MAX_DEATHS = 3
"""Deaths while loading, or files given up, in a row, after which a device is given up."""
SILENCE_SECONDS = 6 * 3600.0
"""A busy worker is stopped after this many seconds without a message: decoding a day of units can take hours
on a small machine, and a write to a lost network disk never returns."""
MAX_LOSSES = 5
"""How often the machine of a worker may be lost during a file before the file counts as the cause."""
ALL = "all"
WORTH_SECONDS = 300.0
"""Seconds of audio for which one more worker of a filter is started: that takes about 2 s of a core, and the
filter 5 s or more for so much audio."""


@dataclass
class Item:
    """Work that is ready for a worker. `rows` is how many channel rows it brings at most."""

    work: Work
    seconds: float
    rows: int
    deaths: int = 0
    losses: int = 0


@dataclass(frozen=True)
class Reaped:
    """What happens to the files of a worker that has died."""

    cause: str
    given_up: list[Item]
    """These fail: two workers died while processing them."""
    free: list[Item]
    """Any worker may try these again."""
    last: bool = False
    """No worker is left."""


@dataclass(eq=False)
class Slot:
    """One worker on one device, restarted when it dies; the work it held is then tried again one by one."""

    plan: ModelPlan
    sharing: int = 1
    """Workers of the pool that share the processor, including this one."""
    held: dict[int, Item] = field(default_factory=dict)
    suspects: deque[Item] = field(default_factory=deque)
    loaded: Loaded | None = None
    peer: Peer | None = None
    deaths: int = 0
    seconds_before: float = 0.0
    """Seconds of audio done by workers of this slot that have died."""
    seconds: float = 0.0
    resumed: float = 0.0
    """Seconds of audio whose chunks its worker found in the cache of an earlier run."""
    silent: float = 0.0
    """Seconds since the last message of its worker, while it was loading or working."""

    def start(self, inbox: Inbox, module: str, spawn: Spawn) -> None:
        """Start the worker if there is none; it loads in the background."""
        if self.peer is None:
            self.peer = spawn(module, inbox)
            self.silent = 0.0
            self.peer.send(Load(self.plan, 2 if self.suspects else 1, self.sharing))

    def has_room(self) -> bool:
        """Whether the worker should get more work: up to three batches of chunks, and at least two files.

        One batch is translated, one is written and one waits.
        """
        if self.loaded is None or self.suspects:
            return False
        if any(item.deaths for item in self.held.values()):  # a suspect is tried alone
            return False
        return len(self.held) < 2 or self.chunks_held() < 3 * self.loaded.batch

    def chunks_held(self) -> int:
        """Chunks of all the work it holds, including finished chunks of unfinished files."""
        assert self.loaded is not None
        stride = self.loaded.stride_seconds
        # the length of a token file is not known before it is opened
        return sum(max(1, math.ceil(item.seconds / stride)) * item.rows for item in self.held.values())

    def next_suspect(self) -> Item | None:
        """The next file during which a worker died, once no other work is held: it is tried alone."""
        return self.suspects.popleft() if self.loaded and self.suspects and not self.held else None

    def give(self, item: Item) -> None:
        """Send work to the worker."""
        assert self.peer is not None
        self.held[item.work.id] = item
        self.peer.send(item.work)

    def release(self, index: int) -> None:
        """Note that the work of this index is finished or has failed."""
        self.deaths = 0
        del self.held[index]

    def advanced(self, seconds: float, resumed: float) -> None:
        """Note the seconds of audio that the current worker has done, and those found in the chunk cache."""
        self.seconds = self.seconds_before + seconds
        self.resumed = resumed

    def passed(self, seconds: float) -> None:
        """Add `seconds` to the time without a message; stops a worker after `SILENCE_SECONDS` of it."""
        self.silent += seconds if self.held or self.loaded is None else 0.0
        if self.peer is not None and self.silent > SILENCE_SECONDS:
            self.silent = 0.0
            self.peer.stop(f"sent no message for {SILENCE_SECONDS / 3600:.0f} hours")

    def reap(self) -> Reaped:
        """Handle the death of the worker: each file fails or is tried again.

        A file does not count as the cause where the whole machine was lost.
        """
        assert self.peer is not None
        cause, lost = self.peer.cause_of_death(), self.peer.lost
        self.peer, self.loaded = None, None
        self.seconds_before = self.seconds
        held = list(self.held.values())
        self.held.clear()
        for item in held:
            item.losses += lost
            item.deaths += not lost or item.losses > MAX_LOSSES
        given_up = [item for item in held if item.deaths > 1]
        self.suspects.extend(item for item in held if item.deaths == 1)
        self.deaths += bool(given_up or not held)
        return Reaped(cause, given_up, [item for item in held if item.deaths == 0])

    def kill(self) -> None:
        """End the worker now."""
        if self.peer is not None:
            self.peer.kill()
            self.peer = None


class Workers:
    """All workers of a run: one for each device named (`cuda:0,cuda:1`; `all` is every CUDA device).

    A filter alone, which uses one core per worker, gets more of them on this machine's CPU for much audio.
    """

    def __init__(
        self, plan: ModelPlan, inbox: Inbox, module: str = MODULE, spawn: Spawn | None = None
    ) -> None:
        self._plan, self._inbox, self._module, self._spawn = plan, inbox, module, spawn or Child
        self._wants_all = plan.device == ALL
        names = ["cuda:0"] if self._wants_all else plan.device.split(",")
        sharing = len([name for name in names if name == "cpu"])
        self.slots = [Slot(replace(plan, device=name), sharing if name == "cpu" else 1) for name in names]
        self._retired_seconds = 0.0
        alone = plan.filter is not None and plan.translator is None and plan.codec is None
        self._widens = alone and plan.device in ("auto", "cpu") and spawn is None

    def start(self, seconds: float = 0.0) -> None:
        """Start every worker that is not running. `seconds`: audio to process, if known."""
        if self._widens:
            wanted = min(cores(), int(seconds / WORTH_SECONDS))
            self.slots += [Slot(self._plan) for _ in range(wanted - len(self.slots))]
        for slot in self.slots:
            slot.start(self._inbox, self._module, self._spawn)

    def passed(self, seconds: float) -> None:
        """Add `seconds` to the time without a message of every worker."""
        for slot in self.slots:
            slot.passed(seconds)

    def slot_of(self, sender: object) -> Slot | None:
        """The slot of the worker that sent a message; None for a worker that has already ended."""
        return next((slot for slot in self.slots if slot.peer is sender), None)

    def roomiest(self) -> Slot | None:
        """The slot that should get the next work: the one with room that holds the least."""
        with_room = [slot for slot in self.slots if slot.has_room()]
        return min(with_room, key=Slot.chunks_held, default=None)

    def loaded(self, slot: Slot, loaded: Loaded) -> None:
        """Note that a worker is ready; with `--device all` the first one starts one worker per other GPU."""
        slot.loaded = loaded
        if self._wants_all:
            self._wants_all = False
            for index in range(1, loaded.devices):
                self.slots.append(Slot(replace(self._plan, device=f"cuda:{index}")))
            self.start()

    def reap(self, slot: Slot) -> Reaped:
        """Handle the death of a slot's worker; a slot whose workers keep dying is closed."""
        reaped = slot.reap()
        if slot.deaths < MAX_DEATHS:
            return reaped
        self.slots.remove(slot)
        self._retired_seconds += slot.seconds
        free = [*reaped.free, *slot.suspects]
        return Reaped(reaped.cause, reaped.given_up, free, last=not self.slots)

    @staticmethod
    def gone(cause: str) -> DeviceError:
        """The error of a run whose last worker has died."""
        hint = "Try a smaller batch size or shorter chunks, or another device."
        return DeviceError(f"the model process {cause}", hint=hint)

    @property
    def size(self) -> int:
        """Number of workers, including those still starting."""
        return len(self.slots)

    @property
    def held(self) -> Iterator[Item]:
        """Work that any worker holds."""
        return (item for slot in self.slots for item in slot.held.values())

    @property
    def seconds(self) -> float:
        """Seconds of audio done so far."""
        return self._retired_seconds + sum(slot.seconds for slot in self.slots)

    @property
    def resumed(self) -> float:
        """Seconds of audio found kept by an earlier run."""
        return sum(slot.resumed for slot in self.slots)

    def end(self) -> None:
        """Tell the workers that no more work will come, so that they exit."""
        for slot in self.slots:
            if slot.peer is not None:
                slot.peer.send(End())

    def kill(self) -> None:
        """End all workers now."""
        for slot in self.slots:
            slot.kill()


MakeWorkers = Callable[[ModelPlan, Inbox], Workers]
