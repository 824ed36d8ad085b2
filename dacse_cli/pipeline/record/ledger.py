"""Who has reached which end: skip decisions, commits, outcomes. Only here a file gets its final name."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from dacse_cli.audio.atomic import commit
from dacse_cli.errors import DacseError, InputError
from dacse_cli.pipeline.record.chunk_cache import binding, forget, sweep_kept, tidy, work_file
from dacse_cli.pipeline.record.journal import Journal, Recipe
from dacse_cli.pipeline.request.inputs import Job, input_stamp
from dacse_cli.pipeline.wire.events import Ended, Event
from dacse_cli.pipeline.wire.guard_report import GuardReport
from dacse_cli.pipeline.wire.outcome import Outcome, OutputFile, Result, Summary
from dacse_cli.pipeline.wire.process import Message


class Ledger:
    """Outcomes of all jobs. `settings` is the hash of everything that changes the sound."""

    def __init__(
        self,
        jobs: list[Job],
        journal: Journal | None,
        settings: str,
        overwrite: bool,
        tell: Callable[[Event], None],
        *,
        keep_mtime: bool = False,
    ) -> None:
        self.summary = Summary()
        self._open = {job.index: job for job in jobs}
        self._journal, self._settings, self._overwrite, self._tell = journal, settings, overwrite, tell
        self._recipes: dict[int, Recipe] = {}
        self._keep_mtime = keep_mtime
        self._started: dict[int, float] = {}
        self._homes: set[Path] = set()

    @property
    def open_jobs(self) -> list[Job]:
        """Jobs that have not ended, in order."""
        return list(self._open.values())

    @property
    def open_count(self) -> int:
        """How many jobs have not ended."""
        return len(self._open)

    def is_open(self, index: int) -> bool:
        return index in self._open

    def job(self, index: int) -> Job:
        """A job that has not ended."""
        return self._open[index]

    def admit(self, job: Job) -> bool:
        """Whether a job needs doing; ends it otherwise (done before, foreign output, input gone)."""
        try:
            recipe = Recipe(*self._stamp(job), self._settings)
        except InputError as error:
            self.fail(job.index, error.reason, error.message)
            return False
        self._recipes[job.index] = recipe
        if self._overwrite:
            return True
        if self._journal is not None and self._journal.is_done(job.target, recipe):
            self._set_mtime(job.target, recipe)  # asked for now, or cut short then
            self.end(job.index, Outcome.SKIPPED, "already-done", "already done")
            return False
        if self._is_foreign(job.target):
            self.end(job.index, Outcome.SKIPPED, "exists", "an output exists; --overwrite replaces it")
            return False
        return True

    def _stamp(self, job: Job) -> tuple[int, int]:
        """The identity of an input's content; `InputError` when it is gone."""
        return input_stamp(job.source)

    def _is_foreign(self, target: Path) -> bool:
        return self._journal.is_foreign(target) if self._journal is not None else os.path.lexists(target)

    def start(self, index: int) -> None:
        """A worker has taken a job up: its clock starts, or starts anew."""
        self._started[index] = time.monotonic()

    def keeping(self, index: int) -> Message:
        """Where a worker shall keep a job's finished chunks, and to what they are bound."""
        job = self._open[index]
        home = self._home(job)
        self._homes.add(home)
        recipe = self._recipes[index].as_list()
        return {"path": str(work_file(home, job.target)), "binding": binding(home, job.target, recipe)}

    def sweep_kept(self) -> None:
        """Remove chunks of stopped runs that are of no use any more. To be done before jobs are given out."""
        if self._journal is None:
            return
        home = self._journal.output
        done = self._journal.records.items()
        finished = {target: record["recipe"] for target, record in done if record["state"] == "done"}
        current = {
            os.path.relpath(job.target, home): self._recipes[job.index].as_list()
            for job in self._open.values()
            if job.index in self._recipes
        }
        for target in current:
            finished.pop(target, None)  # to be done again
        sweep_kept(home, current, finished)

    def _home(self, job: Job) -> Path:
        """The folder that remembers: the output folder, or that of a file written beside its input."""
        return self._journal.output if self._journal is not None else job.target.parent

    def settle(self, index: int, message: Message, warnings: list[str]) -> None:
        """Give a finished job's files their final names. Raises `OutputError`."""
        job, recipe = self._open[index], self._recipes[index]
        files = [OutputFile.from_json(file) for file in message["files"]]
        try:
            changed = self._stamp(job) != (recipe.size, recipe.mtime_ns)
        except InputError:
            changed = True
        if changed:
            _discard(files)
            self.fail(index, "changed", "the input changed while it was read")
            return
        parts = [file.target for file in files if file.target != job.target]
        if not self._overwrite and any(self._is_foreign(part) for part in parts):
            _discard(files)  # how many files there would be was not known before
            self.end(index, Outcome.SKIPPED, "exists", "an output exists; --overwrite replaces it")
            return
        message["warnings"] = [*warnings, *message["warnings"]]
        try:
            self._place(index, files, message)
        except InputError as error:  # a folder in its place: the others can still be written
            _discard(files)
            self.fail(index, error.reason, error.message)
        except DacseError:
            _discard(files)
            raise

    def _place(self, index: int, files: list[OutputFile], message: Message) -> None:
        """Give files their final names and end the job."""
        recipe = self._recipes[index]
        for file in files:
            if self._journal is not None:
                self._journal.intend(file.target, recipe, file.size, file.sha256)
            commit(file.temp, file.target)
            self._set_mtime(file.target, recipe)
        self._placed(index, files, message)

    def _placed(self, index: int, files: list[OutputFile], message: Message) -> None:
        """All files of a job are where they belong."""
        job, recipe = self._open[index], self._recipes[index]
        parts = [file.target for file in files if file.target != job.target]
        if self._journal is not None:
            for file in files:
                self._journal.finish(file.target, recipe, file.size, file.sha256, message.get("guard"))
            if parts:
                self._journal.finish_parts(job.target, recipe, parts)
        forget(self._home(job), job.target)
        self._end_well(index, message)

    def _end_well(self, index: int, message: Message) -> None:
        """A job whose files are in place ends as done, with a warning where there is something to know."""
        guard = GuardReport.from_json(message["guard"]) if message.get("guard") else None
        warnings = [*(guard.warnings() if guard else []), *message["warnings"]]
        outcome = Outcome.WARNED if warnings else Outcome.DONE
        reason = (guard and guard.reason) or ("warning" if warnings else "")
        resumed = message.get("resumed", 0.0)
        self.end(index, outcome, reason, "; ".join(warnings), message["seconds"], resumed, guard)

    def _set_mtime(self, target: Path, recipe: Recipe) -> None:
        """The input's modification time for its output, where asked; a disk that knows none is no failure."""
        if self._keep_mtime:
            with contextlib.suppress(OSError):
                os.utime(target, ns=(time.time_ns(), recipe.mtime_ns))

    def fail(self, index: int, reason: str, message: str) -> None:
        """End a job as failed, and remember it where there is a journal."""
        if self._journal is not None and index in self._recipes:
            self._journal.fail(self._open[index].target, self._recipes[index], reason, message)
        self.end(index, Outcome.FAILED, reason, message)

    def end(
        self,
        index: int,
        outcome: Outcome,
        reason: str,
        message: str,
        seconds: float = 0.0,
        resumed: float = 0.0,
        guard: GuardReport | None = None,
    ) -> None:
        """End a job; each job ends once."""
        job = self._open.pop(index)
        self._recipes.pop(index, None)
        started = self._started.pop(index, None)
        elapsed = 0.0 if started is None else time.monotonic() - started
        result = Result(
            job.name, self._named(job), outcome, reason, message, seconds, elapsed, resumed, guard
        )
        self.summary.results.append(result)
        self._tell(Ended(result))

    def _named(self, job: Job) -> str:
        """A job's output as the user knows it."""
        return job.writes

    def close(self) -> Summary:
        """Everything still open was not reached."""
        for home in self._homes:
            tidy(home)
        for index in list(self._open):
            self.end(index, Outcome.NOT_REACHED, "stopped", "the run was stopped before this input")
        return self.summary


def _discard(files: list[OutputFile]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            file.temp.unlink(missing_ok=True)
