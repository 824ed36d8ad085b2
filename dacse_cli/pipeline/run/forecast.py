"""What a run would do: the plan of `--dry-run`. Writes nothing, fetches nothing, loads no model."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import asdict, dataclass, replace

from dacse_cli.codec.dac.shape import read_shape
from dacse_cli.config import ChunkOptions
from dacse_cli.errors import UsageError
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.request.inputs import Job
from dacse_cli.pipeline.request.networks import (
    Download,
    chain_files,
    find_networks,
    settings_hash,
    settings_of,
)
from dacse_cli.pipeline.request.plan import ChainFiles, plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.sizes import output_bytes
from dacse_cli.pipeline.request.speed import recalled
from dacse_cli.pipeline.run.supervisor import Supervisor
from dacse_cli.pipeline.task.chunks import ChunkGrid
from dacse_cli.pipeline.wire.events import Tell


@dataclass(frozen=True)
class Forecast:
    """One line of a dry run. `seconds` and `output_bytes` are 0 for token files."""

    source: str
    target: str
    seconds: float
    chunks: int
    output_bytes: int
    expected_seconds: float | None
    """How long it will take, by the last run's speed; None before there was one."""
    skipped: str = ""
    """Why the file would not be done, empty where it would."""


def forecast(request: Request, tell: Tell, progress: Download | None = None) -> list[Forecast]:
    """What `run` would do, writing nothing, fetching nothing and loading no model."""
    todo = plan(request)
    networks = find_networks(
        replace(request.models, offline=True), with_model=request.form == "enhance", progress=progress
    )
    files = chain_files(request, networks)
    journal = Journal.peek(todo.journal) if todo.journal else None
    ledger = Ledger(
        todo.jobs, journal, settings_of(request, networks, files), request.overwrite, lambda event: None
    )
    supervisor = Supervisor(todo, files, ledger, tell)
    with closing(supervisor):  # nothing is under way that a signal would have to wait for
        infos = supervisor.probe([job for job in todo.jobs if ledger.admit(job)])
    ended = {result.source: result.message for result in ledger.summary.results}
    if not networks.codec.folder.is_dir():
        raise UsageError(
            "--dry-run cannot look into a weights file of Descript's", hint="Name a codec folder."
        )
    frame_rate = read_shape(networks.codec.folder).spec(networks.codec.name).frame_rate
    grid = ChunkGrid.from_options(ChunkOptions.from_json(files.chunk), frame_rate)
    pace = recalled(pace_key(request, files))

    def row(job: Job) -> Forecast:
        info = infos.get(job.index)
        skipped = ended.get(job.name, "")
        if info is None:
            return Forecast(job.name, job.writes, 0.0, 0, 0, None, skipped)
        chunks = len(grid.plan(math.ceil(info.seconds * frame_rate)))
        expected = info.seconds / pace if pace else None
        size = output_bytes(info, request)
        return Forecast(job.name, job.writes, info.seconds, chunks, size, expected, skipped)

    return [row(job) for job in todo.jobs]


def pace_key(request: Request, files: ChainFiles) -> str:
    """What speed depends on: command, models, device, precision, batch, chunks."""
    return settings_hash(request.form, asdict(files))
