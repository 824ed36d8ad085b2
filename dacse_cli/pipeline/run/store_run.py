"""A run between object stores and this disk: listed once, done wave by wave."""

from __future__ import annotations

import hashlib
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.audio.atomic import sweep
from dacse_cli.errors import DacseError, UsageError
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.store_journal import CloudJournal
from dacse_cli.pipeline.request.inputs import Job
from dacse_cli.pipeline.request.listing import Item, Manifest, list_inputs
from dacse_cli.pipeline.request.networks import Download, chain_files, find_networks, settings_of
from dacse_cli.pipeline.request.plan import ChainFiles, Plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.speed import cache_folder
from dacse_cli.pipeline.run.store_ledger import CloudLedger
from dacse_cli.pipeline.run.supervisor import Supervisor
from dacse_cli.pipeline.run.transfers import Transfers
from dacse_cli.pipeline.wire.events import Stage, Tell
from dacse_cli.pipeline.wire.outcome import Outcome, Summary
from dacse_cli.pipeline.wire.process import Inbox
from dacse_cli.store.store import Store
from dacse_cli.store.urls import is_url

WAVE = 10_000
"""Inputs held in memory at once. Each wave loads the models anew: seconds, against hours of work."""


@dataclass(frozen=True)
class _Work:
    """What all waves of a run share."""

    request: Request
    manifest: Manifest
    files: ChainFiles
    settings: str
    journal: Journal
    folder: Path
    """On this disk, for what is under way."""
    output: Path
    tell: Tell


def run_cloud(
    request: Request, tell: Tell, progress: Download | None = None, wave_size: int = WAVE
) -> Summary:
    """Like `run`, where inputs or the output are URLs."""
    started = time.monotonic()
    request.check()
    if request.output is None:
        raise UsageError("inputs in an object store need an output folder or URL")
    folder = _folder(request)
    tell(Stage("finding the models"))
    networks = find_networks(request.models, with_model=request.form == "enhance", progress=progress)
    files = chain_files(request, networks)
    with ExitStack() as stack:
        there = is_url(request.output)
        output = folder / "out" if there else Path(request.output)
        tell(Stage("listing"))
        journal: Journal = (
            CloudJournal(output, Store(request.output), request.shard)
            if there
            else Journal(output, request.shard)
        )
        stack.enter_context(journal)
        if there:
            sweep(output)
        shutil.rmtree(folder / "in", ignore_errors=True)
        manifest = list_inputs(request, folder / "inputs.jsonl", fold_case=not there)
        settings = settings_of(request, networks, files)
        work = _Work(request, manifest, files, settings, journal, folder, output, tell)
        summary = _run_waves(work, wave_size)
    summary.elapsed = time.monotonic() - started
    return summary


def _folder(request: Request) -> Path:
    """A folder on this disk for these inputs, this output and this part: a rerun finds it again."""
    what = repr((request.form, request.inputs, request.output, request.shard))
    folder = cache_folder() / "cloud" / hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run_waves(work: _Work, wave_size: int) -> Summary:
    total = Summary(ignored=work.manifest.ignored)
    reached = 0
    for items in work.manifest.waves(wave_size):
        part = _run_wave(work, items)
        total.add(part)
        reached += len(items)
        if part.fatal is not None or part.stopped_by is not None:
            break
    total.earlier[Outcome.NOT_REACHED] += work.manifest.count - reached
    return total


def _run_wave(work: _Work, items: list[Item]) -> Summary:
    request = work.request
    jobs = [_job(work, index, item) for index, item in enumerate(items)]
    ledger = CloudLedger(jobs, items, work.journal, work.settings, request.overwrite, work.tell)
    todo = Plan(request, jobs, work.output, work.manifest.ignored)

    def fetch(index: int) -> None:
        item = items[index]
        if item.store is not None:
            work.manifest.stores[item.store].fetch(item.entry, jobs[index].source)

    def transfers(inbox: Inbox) -> Transfers:
        cloud = work.journal if isinstance(work.journal, CloudJournal) else None
        ledger.transfers = Transfers(inbox, fetch, cloud, ledger.is_put)
        return ledger.transfers

    supervisor = Supervisor(todo, work.files, ledger, work.tell, intake=transfers)
    try:
        with supervisor.watching_signals():
            supervisor.run([job for job in jobs if ledger.admit(job)])
    except DacseError as error:
        ledger.summary.fatal = error
    summary = ledger.close()
    if isinstance(work.journal, CloudJournal):
        try:
            work.journal.sync()
        except DacseError as error:
            summary.fatal = summary.fatal or error
    return summary


def _job(work: _Work, index: int, item: Item) -> Job:
    remote = item.store is not None
    source = work.folder / "in" / str(index) / item.base if remote else Path(item.entry.key)
    return Job(index, str(source), str(work.output / item.target), work.manifest.named(item), remote)
