"""A folder that is enhanced as it fills: a run whenever there are inputs that no run has seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from dacse_cli.errors import InputError, LockedError, NoInputError, UsageError
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.wire.outcome import Summary

Stamp = tuple[int, int]
"""Size and modification time, which identify a version of a file."""


@dataclass
class Inputs:
    """Observed state of a folder's files, by path."""

    settled: float
    """Seconds without a change after which a file counts as complete."""
    taken: dict[str, Stamp] = field(default_factory=dict)
    """Files already given to a run, with their stamps at that time."""
    _since: dict[str, tuple[Stamp, float]] = field(default_factory=dict)
    """A file's present stamp and when it was first seen, by this process's clock."""

    def ready(self, stamps: dict[str, Stamp], now: float, today: float) -> dict[str, Stamp]:
        """New and changed files that are complete. `now` is monotonic, `today` on the clock of file times.

        A modification time proves that a file is old, but not that it is new: clocks of machines differ.
        """
        self._since = {
            path: known if (known := self._since.get(path)) and known[0] == stamp else (stamp, now)
            for path, stamp in stamps.items()
        }
        return {
            path: stamp
            for path, stamp in stamps.items()
            if self.taken.get(path) != stamp
            and max(now - self._since[path][1], today - stamp[1] / 1e9) >= self.settled
        }


def watch(
    request: Request,
    run: Callable[[Request], Summary],
    remark: Callable[[str], None],
    *,
    every: float,
    settled: float,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Summary]:
    """Summaries of the runs, as they end; ends when a run was stopped or could not go on.

    The folder is looked at every `every` seconds. A file is taken once it has not changed for `settled`
    seconds; a failed one is tried again when it has changed. Of two inputs with one output the second fails.
    Temporary errors (the folder is missing, another run holds the output) are reported by `remark`, once, and
    the run is tried again. Raises `DacseError` for other errors.
    """
    request = replace(request, collisions_fail=True)
    inputs, told = Inputs(settled), ""
    looked = False
    while True:
        try:
            ready = inputs.ready(_stamps(request), time.monotonic(), time.time())
            looked = True
            if ready:
                summary = run(replace(request, only=frozenset(ready)))
                inputs.taken |= ready
                yield summary
                if summary.stopped_by is not None or summary.problem is not None:
                    return
            told = ""
        except NoInputError:  # the files have vanished since they were looked at
            told = ""
        except (LockedError, UsageError) as error:
            if not looked:
                raise
            if told != error.message:
                remark(f"{error.message}; trying again")
            told = error.message
        wait(every)


def _stamps(request: Request) -> dict[str, Stamp]:
    """Stamps of the inputs that exist now. Raises `UsageError`."""
    found: dict[str, Stamp] = {}
    try:
        todo = plan(request)
    except NoInputError:
        return found
    for job in (*(job for wave in todo.waves for job in wave), *todo.collided):
        try:
            found[job.reads] = job.identity()
        except InputError:
            continue  # the file has vanished or cannot be read: no reason to start a run
    return found
