"""One request from plan to summary, wherever inputs, outputs and processes are."""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from dacse_cli.audio.formats import format_for
from dacse_cli.audio.info import AudioInfo
from dacse_cli.errors import DacseError, InputError, OutputError
from dacse_cli.files.atomic import discard_part, sweep
from dacse_cli.files.problems import reason
from dacse_cli.pipeline.record.beside import open_beside
from dacse_cli.pipeline.record.journal import Journal, holders
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.record.no_journal import NoJournal
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.record.speed import remember
from dacse_cli.pipeline.record.store_place import StorePlace
from dacse_cli.pipeline.request.find_models import Download, FoundModels, find_models, with_codec_of_files
from dacse_cli.pipeline.request.jobs import Job
from dacse_cli.pipeline.request.plan import Plan, plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.settings import (
    generation_hash_of,
    pace_key,
    settings_hash_of,
    shown_settings,
)
from dacse_cli.pipeline.request.sizes import COMPRESSED, output_bytes
from dacse_cli.pipeline.run.decoders import Decoders
from dacse_cli.pipeline.run.pool import LocalPool, Pool
from dacse_cli.pipeline.run.supervisor import Supervisor
from dacse_cli.pipeline.run.transfers import Transfers
from dacse_cli.pipeline.wire.events import Stage, Tell
from dacse_cli.pipeline.wire.failures import Failure
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.pipeline.wire.outcome import Outcome, Summary
from dacse_cli.pipeline.wire.process import Inbox
from dacse_cli.platform import handling_stop_signals
from dacse_cli.store.store import Store
from dacse_cli.tokens.names import has_token_suffix


def run(request: Request, tell: Tell, progress: Download | None = None, pool: Pool | None = None) -> Summary:
    """Do what `request` says; every input ends in exactly one outcome of the summary.

    Raises `DacseError` if the run cannot start; an error that stops it later is in `Summary.fatal`.
    """
    started = time.monotonic()
    todo = plan(request)
    request = with_codec_of_files(request, todo)
    tell(Stage("finding the models"))
    found = find_models(request, progress)
    if found.latents != request.latents:  # the names of the outputs say so
        todo = plan(replace(request, latents=found.latents).check())
    with ExitStack() as stack:
        journal = _journal(todo)
        if isinstance(journal, Journal):
            stack.enter_context(journal)
        if todo.folder is not None:
            _sweep(todo, todo.folder)
        ledger = Ledger(
            journal,
            settings_hash_of(request, found),
            tell,
            generation=generation_hash_of(request, found),
            overwrite=request.overwrite,
            keep_mtime=request.keep_mtime,
            strict=request.strict,
        )
        ledger.summary.ignored = todo.ignored
        ledger.summary.place = todo.store or (str(todo.folder) if todo.folder else None)
        ledger.summary.settings = shown_settings(request, found)
        ledger.summary.keeps_chunks = request.form is Form.ENHANCE and found.plan.translator is not None
        try:
            _run_waves(todo, found, ledger, journal, tell, pool or LocalPool())
        except DacseError as error:
            ledger.summary.fatal = error
    ledger.summary.elapsed = time.monotonic() - started
    return ledger.summary


def _journal(todo: Plan) -> Journal | NoJournal:
    """The journal of a plan, that of single files beside their inputs, or `NoJournal` for pipes."""
    if todo.folder is None:
        return NoJournal() if todo.request.passing else open_beside()
    if todo.store is None:
        return Journal(LocalPlace(todo.folder), todo.request.shard)
    return Journal(StorePlace(todo.folder, Store(todo.store)), todo.request.shard)


def _run_waves(
    todo: Plan, found: FoundModels, ledger: Ledger, journal: Journal | NoJournal, tell: Tell, pool: Pool
) -> None:
    """Run all waves of jobs. Jobs left when a run stops count as not reached."""
    transfers: list[Transfers] = []

    def decoders(inbox: Inbox) -> Decoders:
        made = pool.decoders(inbox)
        if todo.own is None:
            return made
        transfers.append(Transfers(inbox, made, ledger, journal))
        return transfers[0]

    if todo.own is not None:
        shutil.rmtree(todo.own / "in", ignore_errors=True)
    model_plan = found.plan
    supervisor = Supervisor(todo.request, model_plan, ledger, tell, pool.workers, decoders)
    publish = transfers[0].publish if transfers and journal.place.remote else None
    reached = begun = 0
    with ExitStack() as stack:
        stack.callback(journal.place.sync)  # the last step: it may wait for a network, so a signal may end it
        stack.enter_context(handling_stop_signals(supervisor.stop))
        try:
            with supervisor.ending_children():
                for wave in todo.waves:
                    reached += len(wave)
                    jobs = ledger.begin(wave, publish, supervisor.check_stopped)
                    if jobs:
                        check_folders(todo, jobs)
                        if not begun:
                            journal.note_run(todo.count - reached + len(jobs), ended=False)
                        begun += len(jobs)
                    if todo.folder is not None:  # single files hold no lock
                        ledger.sweep_kept()
                    _run_wave(todo, supervisor, ledger, jobs)
                    journal.place.sync()
                    if todo.count > len(wave):
                        ledger.summary.forget_results()
                supervisor.end()
                remember(pace_key(todo.request, found), *supervisor.pace)
        finally:
            ledger.close()
            _fail_collided(todo, ledger)
            ledger.summary.not_reached(todo.count - reached)
            if begun:
                with suppress(OutputError):  # it is a note for `dacse status`
                    journal.note_run(ledger.summary.counts[Outcome.NOT_REACHED.value], ended=True)


def _run_wave(todo: Plan, supervisor: Supervisor, ledger: Ledger, jobs: list[Job]) -> None:
    """Run one wave. Inputs on this disk are probed first, for their duration and the disk space they need."""
    local = todo.own is None
    if local:
        infos = supervisor.probe(jobs)
        check_formats(todo.request, ledger, infos)
        check_space(todo, ledger, infos)
    supervisor.run(jobs, probed=local)


def _fail_collided(todo: Plan, ledger: Ledger) -> None:
    """Record as failed the inputs whose output is also another input's."""
    for job in todo.collided:
        ledger.reject(job, Failure("collision", f"{job.writes} is also written for another input"))


def _sweep(todo: Plan, folder: Path) -> None:
    """Remove files left by killed runs; while other runs are writing, only files that cannot be theirs.

    A part file that waits for its final name is not locked, so a missing lock proves nothing.
    """
    inside_another = any(holders(outer) for outer in folder.absolute().parents)
    if todo.request.shard is None and not inside_another:
        sweep(folder, spare=lambda inner: bool(holders(inner)))
    elif todo.own is None:
        for wave in todo.waves:
            for job in wave:
                discard_part(job.target)


def check_folders(todo: Plan, jobs: list[Job]) -> None:
    """Raise `OutputError` where a folder beside the inputs cannot be written to, before models are loaded."""
    if todo.folder is not None:  # the journal is there already
        return
    for folder, target in {job.target.parent: job.target for job in jobs}.items():
        there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                words = f"cannot write {target}: {reason(error)}"
                raise OutputError(words, hint="Give another place with -o.") from None


def check_formats(request: Request, ledger: Ledger, infos: dict[int, AudioInfo]) -> None:
    """End as failed the recordings whose outputs cannot hold the result, or need a missing extra."""
    for index, info in infos.items():
        if request.form is Form.ENHANCE and ledger.is_open(index):
            job = ledger.job(index)
            try:
                if not has_token_suffix(job.target.name):
                    format_for(job.target.suffix, info, request.sound)
            except InputError as error:
                ledger.fail(index, Failure(error.reason, error.message, error.hint))


def check_space(todo: Plan, ledger: Ledger, infos: dict[int, AudioInfo]) -> None:
    """Raise `OutputError` when the outputs cannot fit the disk, before any time is spent on them."""
    if todo.folder is None or todo.request.form is Form.TOKENIZE:
        return
    # the size of a compressed output is known only afterwards, so it is not counted here
    needed = sum(
        output_bytes(info, todo.request)
        for index, info in infos.items()
        if ledger.is_open(index) and ledger.job(index).target.suffix.lower() not in COMPRESSED
    )
    free = shutil.disk_usage(todo.folder).free
    if needed > free:
        raise OutputError(
            f"no space in {todo.folder}: needs about {needed / 1e6:,.1f} MB, {free / 1e6:,.1f} MB are free",
            hint='Free some space, give another folder, or choose `format="flac"`.',
        )
