"""The supervisor's side of the model workers: what each holds, how much it may hold, what its death means."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace

from dacse_cli.errors import DeviceError
from dacse_cli.pipeline.request.plan import ChainFiles
from dacse_cli.pipeline.wire.process import Child, Inbox, Message, Peer, Spawn

MAX_DEATHS = 3
"""Deaths while loading, or files given up, in a row, after which a device is given up."""
PATIENCE_SECONDS = 6 * 3600.0
"""A worker with work may say nothing for so long: to decode the codes of a day can take hours on a small
machine, a write to a network disk that is gone takes for ever."""
MAX_LOSSES = 5
"""Machines that may be taken away under a file before it is held to be the cause."""
WORKER = "dacse_cli.pipeline.children.model"
ALL = "all"


@dataclass
class Load:
    """A job ready for a worker. `rows` is how many channel rows it brings at most."""

    index: int
    message: Message
    seconds: float
    rows: int
    deaths: int = 0
    losses: int = 0


@dataclass(eq=False)
class Station:
    """One worker on one device, restarted when it dies. The jobs it held then are tried again one by one."""

    files: ChainFiles
    sharing: int = 1
    """Workers of this crew that share the processor with this one, itself counted."""
    held: dict[int, Load] = field(default_factory=dict)
    suspects: deque[Load] = field(default_factory=deque)
    ready: bool = False
    description: Message = field(default_factory=dict)
    child: Peer | None = None
    deaths: int = 0
    seconds_before: float = 0.0
    """Of audio, by workers of this station that have died."""
    seconds: float = 0.0
    resumed: float = 0.0
    """Seconds of audio that its workers found kept by a stopped run."""
    silent: float = 0.0
    """Seconds since its worker has said something, while it had to load or to work."""

    def start(self, inbox: Inbox, module: str, spawn: Spawn) -> None:
        """Start the worker if there is none; it loads in the background."""
        if self.child is None:
            self.child = spawn(module, inbox)
            self.silent = 0.0
            divide = 2 if self.suspects else 1
            settings = {"files": asdict(self.files), "divide_batch": divide, "sharing": self.sharing}
            self.child.send({"type": "load", **settings})

    def loaded(self, description: Message) -> None:
        self.ready = True
        self.description = description

    def has_room(self) -> bool:
        """Whether it should get another job, up to three batches of chunks and at least two files.

        One batch is being generated, one written, and one waits.
        """
        if not self.ready or self.suspects:
            return False
        if any(load.deaths for load in self.held.values()):  # a suspect is tried alone
            return False
        return len(self.held) < 2 or self.chunks_held() < 3 * int(self.description["batch"])

    def chunks_held(self) -> int:
        """Chunks of the jobs in the worker's hands, finished ones of files under way included."""
        stride = float(self.description["stride_seconds"])
        # a token file tells nothing of its length before it is opened
        return sum(max(1, math.ceil(load.seconds / stride)) * load.rows for load in self.held.values())

    def next_suspect(self) -> Load | None:
        """A job that a worker died on, once nothing else is in the worker's hands."""
        return self.suspects.popleft() if self.ready and self.suspects and not self.held else None

    def give(self, load: Load) -> None:
        assert self.child is not None
        self.held[load.index] = load
        self.child.send(load.message)

    def release(self, index: int) -> None:
        """A job has left the worker's hands, finished or failed."""
        self.deaths = 0
        del self.held[index]

    def progress(self, seconds: float, resumed: float) -> None:
        """Seconds of audio that the present worker has generated, and has found kept."""
        self.seconds = self.seconds_before + seconds
        self.resumed = resumed

    def passed(self, seconds: float) -> None:
        """Time has gone by; a worker that says nothing for too long is stopped: a death like any other."""
        self.silent += seconds if self.held or not self.ready else 0.0
        if self.child is not None and self.silent > PATIENCE_SECONDS:
            self.silent = 0.0
            self.child.stop(f"said nothing for {PATIENCE_SECONDS / 3600:.0f} hours")

    def bury(self) -> tuple[str, list[Load], list[Load]]:
        """After a death: its cause, the jobs given up because they killed two workers, and the innocent ones.

        Innocent are the jobs of a worker that was lost with its machine.
        """
        assert self.child is not None
        cause, lost = self.child.cause_of_death(), self.child.lost
        self.child, self.ready = None, False
        self.seconds_before = self.seconds
        held = list(self.held.values())
        self.held.clear()
        for load in held:
            load.losses += lost
            load.deaths += not lost or load.losses > MAX_LOSSES
        given_up = [load for load in held if load.deaths > 1]
        self.suspects.extend(load for load in held if load.deaths == 1)
        self.deaths += bool(given_up or not held)
        return cause, given_up, [load for load in held if load.deaths == 0]

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child = None


class Crew:
    """All workers of a run: one for each device named (`cuda:0,cuda:1`; `all` is every CUDA device)."""

    def __init__(
        self, files: ChainFiles, inbox: Inbox, module: str = WORKER, spawn: Spawn | None = None
    ) -> None:
        self._files, self._inbox, self._module = files, inbox, module
        self._spawn = spawn or Child
        self._wants_all = files.device == ALL
        names = ["cuda:0"] if self._wants_all else files.device.split(",")
        shared = len([name for name in names if name == "cpu"])
        self.stations = [
            Station(replace(files, device=name), shared if name == "cpu" else 1) for name in names
        ]
        self._retired_seconds = 0.0

    def start(self) -> None:
        for station in self.stations:
            station.start(self._inbox, self._module, self._spawn)

    def passed(self, seconds: float) -> None:
        """Time has gone by."""
        for station in self.stations:
            station.passed(seconds)

    def station_of(self, child: Peer) -> Station | None:
        """Whose worker a message comes from; None for one that is gone already."""
        return next((station for station in self.stations if station.child is child), None)

    def roomiest(self) -> Station | None:
        """The station that should get the next job: with room, and with the least in its hands."""
        with_room = [station for station in self.stations if station.has_room()]
        return min(with_room, key=Station.chunks_held, default=None)

    def loaded(self, station: Station, description: Message) -> None:
        """A worker is ready; the first one tells how many devices `all` is."""
        station.loaded(description)
        if self._wants_all:
            self._wants_all = False
            for index in range(1, int(description["devices"])):
                self.stations.append(Station(replace(self._files, device=f"cuda:{index}")))
            self.start()

    def bury(self, station: Station) -> tuple[str, list[Load], list[Load]]:
        """After a death: its cause, the jobs given up, and jobs that any station may take over.

        A station that keeps dying is closed; `DeviceError` when it was the last.
        """
        cause, given_up, innocent = station.bury()
        if station.deaths < MAX_DEATHS:
            return cause, given_up, innocent
        self.stations.remove(station)
        self._retired_seconds += station.seconds
        if not self.stations:
            hint = "Try a smaller --batch-size or --chunk, or another --device."
            raise DeviceError(f"the model worker {cause}", hint=hint)
        return cause, given_up, [*innocent, *station.suspects]

    @property
    def size(self) -> int:
        """Workers there are, or will be when they have started."""
        return len(self.stations)

    @property
    def held(self) -> Iterator[Load]:
        """Jobs in any worker's hands."""
        return (load for station in self.stations for load in station.held.values())

    @property
    def seconds(self) -> float:
        """Seconds of audio generated so far."""
        return self._retired_seconds + sum(station.seconds for station in self.stations)

    @property
    def resumed(self) -> float:
        """Seconds of audio found kept by a stopped run."""
        return sum(station.resumed for station in self.stations)

    def dismiss(self) -> None:
        """No more jobs: the workers end by themselves."""
        for station in self.stations:
            if station.child is not None:
                station.child.send({"type": "end"})

    def kill(self) -> None:
        for station in self.stations:
            station.kill()


MakeCrew = Callable[[ChainFiles, Inbox], Crew]
