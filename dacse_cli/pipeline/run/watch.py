"""A folder that is enhanced as it fills: a run whenever there are inputs that no run has seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from dacse_cli.errors import InputError, NoInputError
from dacse_cli.pipeline.request.inputs import input_stamp
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.wire.outcome import Summary

Stamps = dict[Path, tuple[int, int]]


def watch(
    request: Request,
    run: Callable[[Request], Summary],
    *,
    every: float,
    settled: float,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Summary]:
    """Summaries of the runs, as they end; ends when a run was stopped or could not go on.

    The folder is looked at `every` so many seconds. A file counts once nobody has written to it for
    `settled` seconds; a failed one is tried again when it has changed. Raises `DacseError` as `run` does.
    """
    request = replace(request, settled=settled)
    seen: Stamps = {}
    while True:
        now = _inputs(request)
        if any(seen.get(path) != stamp for path, stamp in now.items()):
            summary = run(request)
            seen = now
            yield summary
            if summary.stopped_by is not None or summary.fatal is not None:
                return
        wait(every)


def _inputs(request: Request) -> Stamps:
    """The inputs that are there and at rest, with what tells their content."""
    found: Stamps = {}
    try:
        jobs = plan(request).jobs
    except NoInputError:
        return found
    for job in jobs:
        try:
            found[job.source] = input_stamp(job.source)
        except InputError:
            continue  # gone again, or not to be read: no reason to start a run
    return found
