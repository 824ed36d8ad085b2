"""The outcome of every job: skipped, finished under its final name, or failed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from dacse_cli.errors import DacseError, InputError
from dacse_cli.files.digest import Between
from dacse_cli.pipeline.record.chunk_cache import forget, keep_for, sweep, tidy
from dacse_cli.pipeline.record.claims import Claims
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.no_journal import NoJournal
from dacse_cli.pipeline.record.records import Recipe
from dacse_cli.pipeline.record.standing import INSTEAD, LEFT_ALONE, Standing
from dacse_cli.pipeline.request.jobs import Job
from dacse_cli.pipeline.wire.coding import to_json
from dacse_cli.pipeline.wire.events import Ended, Tell
from dacse_cli.pipeline.wire.failures import Failure
from dacse_cli.pipeline.wire.messages import Keep
from dacse_cli.pipeline.wire.outcome import Finished, Outcome, OutputFile, Result, Summary

Publish = Callable[[int, list[OutputFile]], None]
"""Publishes the files of a job beside other work; `Ledger.published` is called when they are in place."""


@dataclass(slots=True)
class _Open:
    """A job that has not ended."""

    job: Job
    recipe: Recipe | None = None
    started: float | None = None
    finished: Finished | None = None
    damaged: bool = False
    replaces: bool = False
    """Whether an output that a run has made is to be replaced, unasked."""


class Ledger:
    """Outcomes of all jobs of a run. `settings` is the hash of what changes the sound, `generation` of what
    decides the generated chunks.
    """

    def __init__(
        self,
        journal: Journal | NoJournal,
        settings: str,
        tell: Tell,
        *,
        generation: str = "",
        overwrite: bool = False,
        keep_mtime: bool = False,
        strict: bool = False,
    ) -> None:
        self.summary = Summary()
        self._journal, self._settings, self._generation, self._tell = journal, settings, generation, tell
        self._overwrite, self._keep_mtime, self._strict = overwrite, keep_mtime, strict
        self._publish: Publish | None = None
        self._open: dict[int, _Open] = {}
        self._claims = Claims([])
        self._homes: set[Path] = set()

    def begin(self, jobs: list[Job], publish: Publish | None = None, between: Between = None) -> list[Job]:
        """Take up jobs; those that need doing. The others end here (done before, not ours, input gone).

        Without `publish`, files get their final names at once. Outputs that were copied or edited are read.
        """
        self._publish = publish
        self._open = {job.index: _Open(job) for job in jobs}
        self._claims = Claims(jobs)
        return [job for job in jobs if self._admit(job, between)]

    def reject(self, job: Job, failure: Failure) -> None:
        """End a job as failed that was never begun."""
        self._open[job.index] = _Open(job)
        self.fail(job.index, failure)

    @property
    def open_count(self) -> int:
        """How many jobs have not ended."""
        return len(self._open)

    def is_open(self, index: int) -> bool:
        """Whether a job has not ended."""
        return index in self._open

    def job(self, index: int) -> Job:
        """A job that has not ended."""
        return self._open[index].job

    def _admit(self, job: Job, between: Between) -> bool:
        if between is not None:
            between()
        try:
            recipe = self._open[job.index].recipe = Recipe(*job.identity(), self._settings)
        except InputError as error:
            self.fail(job.index, Failure(error.reason, error.message, error.hint))
            return False
        standing = self._standing(job, job.target, between)
        if standing is Standing.FOLDER:
            message = f"a folder stands at {job.writes}"
            self.fail(job.index, Failure("in-the-way", message, "Move it, or give another output."))
            return False
        if self._overwrite:
            return True
        if standing is Standing.DONE:
            self._set_mtime(job, recipe)  # asked for now, or the last run was stopped before it
            self.end(job.index, Outcome.SKIPPED, "already-done", "already done")
            return False
        if standing in LEFT_ALONE:
            self._leave_alone(job.index, standing)
            return False
        self._open[job.index].replaces = standing is Standing.OURS
        return True

    def _standing(self, job: Job, target: Path, between: Between = None) -> Standing:
        recipe, key = self._open[job.index].recipe, self._journal.key(target)
        assert recipe is not None
        return self._journal.standing(key, recipe, job.source_name, strict=self._strict, between=between)

    def _leave_alone(self, index: int, standing: Standing) -> None:
        reason, words = LEFT_ALONE[standing]
        self.end(index, Outcome.SKIPPED, reason, f"{words}; {INSTEAD}")

    def start(self, index: int) -> None:
        """A worker has taken a job up: its clock starts, or starts again."""
        self._open[index].started = time.monotonic()

    def keep(self, index: int) -> Keep:
        """Where a worker keeps a job's generated chunks."""
        opened = self._open[index]
        home, lasting = self._journal.home(opened.job.target), self._journal.keeps_chunks
        self._homes.add(home)
        return keep_for(home, opened.job.source_name, self._generated_by(opened), lasting=lasting)

    def _generated_by(self, opened: _Open) -> Recipe:
        """What the generated chunks of a job depend on."""
        assert opened.recipe is not None
        return replace(opened.recipe, settings=self._generation)

    def sweep_kept(self) -> None:
        """Remove chunks of earlier runs that are of no use any more. For before jobs are given out."""
        known = [opened for opened in self._open.values() if opened.recipe is not None]
        current = {opened.job.source_name: self._generated_by(opened) for opened in known}
        sweep(self._journal.place.folder, current)

    def settle(self, index: int, finished: Finished, warnings: Iterable[str], *, damaged: bool) -> None:
        """Give a finished job's files their final names. Raises `OutputError`."""
        opened = self._open[index]
        assert opened.recipe is not None
        job, files = opened.job, list(finished.files)
        opened.finished = Finished(
            finished.files,
            finished.seconds,
            (*warnings, *finished.warnings),
            finished.resumed,
            finished.guard,
        )
        opened.damaged = damaged
        try:
            changed = job.identity() != (opened.recipe.size, opened.recipe.stamp)
        except InputError:
            changed = True
        if changed:
            _discard(files)
            self.fail(index, Failure("changed", "the input changed while it was read"))
        elif self._may_place(index, job, files):
            self._place(index, job, opened.recipe, files)

    def _may_place(self, index: int, job: Job, files: list[OutputFile]) -> bool:
        """Whether the names of files other than the job's target, not known before, are free."""
        for file in files:
            if file.target == job.target:
                continue
            owner = self._claims.owner(job, file.target)
            if owner != job.name:
                message = f"{file.target} would also be written for {owner}"
                _discard(files)
                self.fail(index, Failure("collision", message, "Rename one of the inputs."))
                return False
            standing = self._standing(job, file.target)
            if not self._overwrite and standing in LEFT_ALONE:
                _discard(files)
                self._leave_alone(index, standing)
                return False
        return True

    def _place(self, index: int, job: Job, recipe: Recipe, files: list[OutputFile]) -> None:
        journal = self._journal
        try:
            journal.check_place()
            for file in files:
                journal.intend(journal.key(file.target), recipe, job.source_name, file.size, file.sha256)
            if self._publish is not None:
                self._publish(index, files)
                return
            for file in files:
                journal.place.publish(file.temp, journal.key(file.target))
                self._set_mtime(job, recipe, file.target)
        except InputError as error:  # the others can still be written
            _discard(files)
            self.fail(index, Failure(error.reason, error.message, error.hint))
        except DacseError:
            _discard(files)
            raise
        else:
            self.published(index)

    def published(self, index: int) -> None:
        """All files of a job are in place: it is done, with a warning where there is something to know."""
        opened = self._open[index]
        job, recipe, finished = opened.job, opened.recipe, opened.finished
        assert finished is not None and recipe is not None
        guard = finished.guard
        warnings = [*(guard.warnings() if guard else []), *finished.warnings]
        message = "; ".join(warnings)
        self._record(job, recipe, finished, opened.damaged, message)
        if not self._journal.keeps_chunks:
            forget(self._journal.home(job.target), job.source_name)
        reason = (guard and guard.reason) or ("warning" if warnings else "")
        outcome = Outcome.WARNED if warnings else Outcome.DONE
        self.end(index, outcome, reason, message, finished=finished)

    def _record(self, job: Job, recipe: Recipe, finished: Finished, damaged: bool, message: str) -> None:
        source, more = job.source_name, {"guard": to_json(finished.guard), "message": message}
        for file in finished.files:
            key = self._journal.key(file.target)
            self._journal.finish(key, recipe, source, file.size, file.sha256, damaged=damaged, **more)
        parts = [file.target for file in finished.files if file.target != job.target]
        if parts:
            keys = [self._journal.key(part) for part in parts]
            self._journal.finish_parts(self._journal.key(job.target), recipe, source, keys)

    def _set_mtime(self, job: Job, recipe: Recipe, target: Path | None = None) -> None:
        """Give an output its input's modification time, where asked and where the disk has such times."""
        modified = recipe.stamp if job.entry is None else job.entry.modified_ns
        if self._keep_mtime and modified is not None:
            with contextlib.suppress(OSError):
                os.utime(target or job.target, ns=(time.time_ns(), modified))

    def fail(self, index: int, failure: Failure) -> None:
        """End a job as failed, and remember it where there is a journal."""
        opened = self._open[index]
        if opened.recipe is not None:
            key = self._journal.key(opened.job.target)
            self._journal.fail(key, opened.recipe, failure.reason, failure.message)
        self.end(index, Outcome.FAILED, failure.reason, failure.message, failure.hint or "")

    def end(
        self,
        index: int,
        outcome: Outcome,
        reason: str,
        message: str,
        hint: str = "",
        *,
        finished: Finished | None = None,
    ) -> None:
        """End a job; each job ends once."""
        opened = self._open.pop(index)
        result = Result(
            source=opened.job.name,
            target=self._named(opened.job),
            outcome=outcome,
            reason=reason,
            message=message,
            hint=hint,
            seconds=finished.seconds if finished else 0.0,
            elapsed=0.0 if opened.started is None else time.monotonic() - opened.started,
            resumed=finished.resumed if finished else 0.0,
            guard=finished.guard if finished else None,
            replaced=finished is not None and opened.replaces,
        )
        self.summary.results.append(result)
        opened.job.discard_copy()
        self._tell(Ended(result))

    def _named(self, job: Job) -> str:
        """A job's output as the user knows it."""
        place = self._journal.place
        return place.name(self._journal.key(job.target)) if place.remote else job.writes

    def close(self) -> None:
        """Every job that is still open was not reached."""
        for home in self._homes:
            tidy(home)
        for index in list(self._open):
            self.end(index, Outcome.NOT_REACHED, "stopped", "the run was stopped before this input")


def _discard(files: Iterable[OutputFile]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            file.temp.unlink()
