"""What a run would do: the plan of `--dry-run`. Writes nothing, fetches nothing, loads no model."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from dacse_cli import registry
from dacse_cli.audio.info import AudioInfo
from dacse_cli.errors import UsageError
from dacse_cli.interfaces import CodecSpec
from dacse_cli.pipeline.record.beside import open_beside
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.record.no_journal import NoJournal
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.record.speed import recalled
from dacse_cli.pipeline.request.find_models import Download, FoundModels, find_models, with_codec_of_files
from dacse_cli.pipeline.request.jobs import Job
from dacse_cli.pipeline.request.plan import Plan, plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.settings import pace_key, settings_hash_of
from dacse_cli.pipeline.request.sizes import output_bytes
from dacse_cli.pipeline.run.pool import LocalPool
from dacse_cli.pipeline.run.supervisor import Supervisor
from dacse_cli.pipeline.wire.events import Tell


@dataclass(frozen=True)
class Forecast:
    """One line of a dry run. `seconds` and `output_bytes` are 0 for token files."""

    source: str
    target: str
    seconds: float
    chunks: int
    """0 where nothing is generated."""
    output_bytes: int
    expected_seconds: float | None
    """Estimated seconds for this file, from the speed of the last run; None before the first run."""
    skipped: str = ""
    """Why the file would not be processed; empty where it would."""


def forecast(request: Request, tell: Tell, progress: Download | None = None) -> list[Forecast]:
    """What `run` would do. Raises as `run` does."""
    todo = plan(request)
    request = with_codec_of_files(request, todo)
    found = find_models(replace(request, models=replace(request.models, offline=True)), progress)
    if found.latents != request.latents:  # the names of the outputs determine it
        todo = plan(replace(request, latents=found.latents).check())
    journal = _peek(todo)
    ledger = Ledger(
        journal,
        settings_hash_of(request, found),
        lambda event: None,
        overwrite=request.overwrite,
        strict=request.strict,
    )
    pool = LocalPool()
    supervisor = Supervisor(request, found.plan, ledger, tell, pool.workers, pool.decoders)
    jobs = [job for wave in todo.waves for job in wave]
    with closing(supervisor):  # no work is running that a signal would have to wait for
        infos = supervisor.probe(ledger.begin(jobs))
    ended = {result.source: result.message for result in ledger.summary.results}
    spec = _codec_spec(found)
    pace = recalled(pace_key(request, found))

    def row(job: Job) -> Forecast:
        info = infos.get(job.index)
        skipped = ended.get(job.name, "")
        if info is None:
            return Forecast(job.name, job.writes, 0.0, 0, 0, None, skipped)
        expected = info.seconds / pace if pace else None
        size = output_bytes(info, request)
        chunks = _chunks(info, found, spec)
        return Forecast(job.name, job.writes, info.seconds, chunks, size, expected, skipped)

    return [row(job) for job in jobs]


def _peek(todo: Plan) -> Journal | NoJournal:
    if todo.folder is None:
        return NoJournal() if todo.request.passing else open_beside()
    return Journal.peek(LocalPlace(todo.folder))


def _codec_spec(found: FoundModels) -> CodecSpec | None:
    """The codec's numbers, where there is one. Raises `UsageError` for a codec that has to be loaded."""
    part = found.plan.codec
    if part is None:
        return None
    spec = registry.read_spec(registry.by_name(part.kind), Path(part.folder), part.name)
    if spec is None:
        raise UsageError(
            "a dry run cannot look into a weights file of Descript's", hint="Name a codec folder."
        )
    return spec


def _chunks(info: AudioInfo, found: FoundModels, spec: CodecSpec | None) -> int:
    if spec is None:
        return 0
    from dacse_cli.pipeline.task.chunks import ChunkGrid  # with numpy

    grid = ChunkGrid.from_options(found.chunk, spec.frame_rate)
    return len(grid.plan(math.ceil(info.seconds * spec.frame_rate)))
