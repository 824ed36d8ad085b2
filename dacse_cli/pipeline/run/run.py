"""One command from request to summary: resolve, plan, look, work. The library call under the command line."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from pathlib import Path

from dacse_cli.audio.atomic import discard_part, sweep
from dacse_cli.audio.info import AudioInfo
from dacse_cli.errors import DacseError, OutputError
from dacse_cli.pipeline.record.journal import Journal, holders
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.request.networks import (
    Download,
    chain_files,
    find_networks,
    settings_of,
    shown_settings,
)
from dacse_cli.pipeline.request.plan import Plan, plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.sizes import COMPRESSED, output_bytes
from dacse_cli.pipeline.request.speed import remember
from dacse_cli.pipeline.run.decoders import Intake, MakeLooker
from dacse_cli.pipeline.run.forecast import pace_key
from dacse_cli.pipeline.run.supervisor import Supervisor
from dacse_cli.pipeline.run.workers import Crew, MakeCrew
from dacse_cli.pipeline.wire.events import Stage, Tell
from dacse_cli.pipeline.wire.outcome import Summary


def run(
    request: Request,
    tell: Tell,
    progress: Download | None = None,
    crew: MakeCrew = Crew,
    intake: MakeLooker = Intake,
) -> Summary:
    """Do what `request` says; every input ends in exactly one outcome of the summary.

    Raises `DacseError` where nothing could be begun; what stops a run under way is `Summary.fatal`.
    """
    started = time.monotonic()
    todo = plan(request)
    tell(Stage("finding the models"))
    networks = find_networks(request.models, with_model=request.form == "enhance", progress=progress)
    files = chain_files(request, networks)
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(todo.journal, request.shard)) if todo.journal else None
        if todo.journal:
            _sweep(todo, todo.journal)
        ledger = Ledger(
            todo.jobs,
            journal,
            settings_of(request, networks, files),
            request.overwrite,
            tell,
            keep_mtime=request.keep_mtime,
        )
        ledger.summary.ignored = todo.ignored
        ledger.summary.settings = shown_settings(request, networks, files)
        supervisor = Supervisor(todo, files, ledger, tell, crew, intake)
        try:
            with supervisor.watching_signals():
                jobs = [job for job in todo.jobs if ledger.admit(job)]
                ledger.sweep_kept()
                infos = supervisor.probe(jobs)
                check_space(todo, infos)
                supervisor.run(jobs)
                remember(pace_key(request, files), *supervisor.pace)
        except DacseError as error:
            ledger.summary.fatal = error
        summary = ledger.close()
    summary.elapsed = time.monotonic() - started
    return summary


def _sweep(todo: Plan, folder: Path) -> None:
    """Remove what killed runs have left; where others are at work only what can be of no other.

    A part file that waits for its final name is held by nobody, so locks on files do not tell.
    """
    inside_another = any(holders(outer) for outer in folder.absolute().parents)
    if todo.request.shard is None and not inside_another:
        sweep(folder, spare=lambda inner: bool(holders(inner)))
    else:
        for job in todo.jobs:
            discard_part(job.target)


def check_space(todo: Plan, infos: dict[int, AudioInfo]) -> None:
    """Raise `OutputError` when the outputs cannot fit the disk, before any time is spent on them."""
    if todo.journal is None or todo.request.form == "tokenize":
        return
    # how far a compressed output shrinks is known afterwards: it is not held against the disk
    needed = sum(
        output_bytes(infos[job.index], todo.request)
        for job in todo.jobs
        if job.index in infos and job.target.suffix.lower() not in COMPRESSED
    )
    free = shutil.disk_usage(todo.journal).free
    if needed > free:
        raise OutputError(
            f"no space in {todo.journal}: needs about {needed / 1e6:,.1f} MB, {free / 1e6:,.1f} MB are free",
            hint="Free some space, give another folder, or choose --format flac.",
        )
