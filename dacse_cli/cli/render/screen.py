"""A command while it runs: bars on a terminal, plain lines elsewhere, all of it on stderr."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from dacse_cli.cli.outlet import Outlet
from dacse_cli.cli.render.results import STYLE, Printer, console, failed_line
from dacse_cli.cli.render.text import clock, files_text, planned, remaining, speed
from dacse_cli.cli.usage import with_options
from dacse_cli.files.names import shown
from dacse_cli.pipeline.wire.events import Detail, Ended, Event, Planned, Stage
from dacse_cli.pipeline.wire.events import Progress as Advance
from dacse_cli.pipeline.wire.outcome import Outcome, Result, Summary

PLAIN_EVERY = 30.0
"""Seconds between progress lines where there is no terminal."""


class Screen:
    """One command's output. A context manager while progress bars may be shown.

    `piped`: standard output carries a recording, so results go to standard error as well.
    """

    def __init__(
        self, *, json: bool = False, quiet: bool = False, verbose: bool = False, piped: bool = False
    ) -> None:
        self._json, self._quiet, self._verbose = json, quiet, verbose
        errors = Outlet(sys.stderr)
        self._err = console(errors)
        self.results = Printer(errors if piped else Outlet(sys.stdout), json=json, quiet=quiet)
        # not Rich's own test: with FORCE_COLOR, Rich treats any pipe as a terminal
        self._live = errors.isatty() and not self._err.is_dumb_terminal and not quiet
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[right]}", markup=False),
            console=self._err,
            transient=True,
            disable=not self._live,
            redirect_stdout=False,  # or Rich sends the results to stderr while a bar moves
            redirect_stderr=False,
        )
        self._work: TaskID | None = None
        self._fetch: dict[str, TaskID] = {}
        self._fetched: set[str] = set()
        self._hinted: set[str] = set()
        self._files = self._ended = 0
        self._total = 0.0
        self._began = ("", 0.0, 0.0)  # step of the preparation or stage of the training, part done, time
        self._last_line = time.monotonic()
        self._notes: list[str] = []

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def note_later(self, text: str) -> None:
        """Print a note when work begins, so that an error before that is the only line."""
        self._notes.append(text)

    def notes(self) -> None:
        """Print the notes passed to `note_later`, once."""
        while self._notes:
            self._say(f"dacse: {shown(self._notes.pop(0))}")

    def tell(self, event: Event) -> None:
        """Show one event of a run."""
        if isinstance(event, Planned):
            self.notes()
            self._files, self._total, self._ended = event.files, event.seconds or 0.0, 0
            self._say(planned(event))
        elif isinstance(event, Stage):
            self._stage(event.text)
        elif isinstance(event, Detail) and self._verbose:
            self._say("\n".join(map(shown, with_options(event.text).splitlines())))
        elif isinstance(event, Advance):
            self._advance(event)
        elif isinstance(event, Ended):
            result = event.result
            message, hint = with_options(result.message), with_options(result.hint)
            self._end(replace(result, message=message, hint=hint))

    def _say(self, text: str, style: str = "") -> None:
        if not self._quiet:
            self._err.print(Text(text, style))

    def _stage(self, text: str) -> None:
        if not self._live:
            return
        if self._work is None:
            self._work = self._bars.add_task(text, total=None, right="")
        else:
            self._bars.update(self._work, description=text)

    def _advance(self, event: Advance) -> None:
        done = event.seconds + event.resumed
        if self._total:
            done = min(done, self._total)
        of_total = f"/{clock(self._total)}" if self._total else ""
        right = f"{self._ended}/{files_text(self._files)}  {clock(done)}{of_total}"
        right += speed(event, self._total)
        self._move(done, self._total, right)

    def _move(self, done: float, total: float, right: str) -> None:
        """Move the bar to `done` of `total`; without a terminal print `right` from time to time."""
        if self._live and self._work is not None:
            self._bars.update(self._work, total=total or None, completed=done, right=right)
        elif time.monotonic() - self._last_line > PLAIN_EVERY:
            self._last_line = time.monotonic()
            self._say(right)

    def counted(self, done: int, total: int, seconds: float, elapsed: float) -> None:
        """`done` of `total` pieces of work, `seconds` of audio in `elapsed` seconds."""
        if self._work is None:
            self._stage("")
        pace = f"  {seconds / elapsed:.1f} x real time" if elapsed >= 1 else ""
        self._move(done, total, f"{done}/{total}{pace}")

    def drawn(self, done: int, files: int) -> None:
        """`done` of `files` files are in the report."""
        self._move(done, files, f"report: {done}/{files_text(files)}")

    def prepared(self, what: str, done: int, total: int) -> None:
        """`done` of `total` pieces of a step before the first step of a training, and the time left."""
        self._stage(what)
        self._move(done, total, f"{what}  {done}/{total}{self._left(what, done, total)}")

    def doing(self, text: str) -> None:
        """Show the name of a step whose progress is not measured."""
        self._stage(shown(text))

    def trained(self, stage: str, step: int, steps: int, share: float, text: str) -> None:
        """Show that a training has done `share` of a stage; `text` is the last measurement.

        `steps` of the stage are 0 where it ends by the clock.
        """
        self._stage(shown(stage))
        place = f"{step}/{steps}" if steps else f"{step} steps, {share:.0%}"
        self._move(share, 1.0, f"{shown(stage)}  {place}{self._left(stage, share, 1.0)}  {text}")

    def _left(self, what: str, done: float, total: float) -> str:
        """The time left by the pace since `what` was first shown."""
        now = time.monotonic()
        if self._began[0] != what:
            self._began = (what, done, now)
        _, before, began = self._began
        return remaining(done - before, total - done, now - began)

    def _end(self, result: Result) -> None:
        self.results.record(result.to_json())
        if result.outcome is Outcome.NOT_REACHED:
            return
        if result.outcome is not Outcome.SKIPPED:
            self._ended += 1
        if result.outcome is Outcome.FAILED:
            self._err.print(failed_line(result))
            if result.hint and result.hint not in self._hinted:
                self._hinted.add(result.hint)
                self._err.print(Text(f"  {shown(result.hint)}"))
        elif result.outcome is not Outcome.SKIPPED or self._verbose or result.reason != "already-done":
            self._line(result)
        if self._verbose and result.guard is not None:
            for stretch in result.guard.stretches:
                self._say(f"  {stretch.describe()}", "dim")

    def _line(self, result: Result) -> None:
        if self._quiet or self._json:
            return
        text = Text(f"{result.outcome.value:<12}", STYLE.get(result.outcome, ""))
        text.append(shown(result.target if result.outcome is not Outcome.SKIPPED else result.source), "")
        if result.message:
            text.append(f"  {shown(result.message)}", "dim")
        self._err.print(text)

    def download(self, file: str, done: int, total: int) -> None:
        """Progress of one file that is being fetched; bytes."""
        self.notes()
        if done < total:
            self._fetched.discard(file)
            if file not in self._fetch:
                self._fetch[file] = self._bars.add_task(shown(file), total=total, right="")
            self._bars.update(
                self._fetch[file], completed=done, right=f"{done / 1e6:.0f}/{total / 1e6:.0f} MB"
            )
        elif file not in self._fetched:
            self._fetched.add(file)
            if file in self._fetch:
                self._bars.remove_task(self._fetch.pop(file))
            self._say(f"fetched {shown(file)}, {total / 1e6:.1f} MB")

    def scored(self, system: str, recording: str) -> None:
        """One recording of one system has been scored."""
        self._say(f"scored  {shown(system)}  {shown(recording)}")

    def remark(self, text: str) -> None:
        """Print a note or a warning."""
        self._say(shown(with_options(text)), "yellow")

    def summary(self, summary: Summary) -> None:
        """Print the summary of a run, and the error that stopped it."""
        if (problem := summary.problem) is not None:
            self._err.print(Text(f"dacse: {shown(with_options(problem.message))}", "red"))
            if problem.hint:
                self._err.print(Text(f"  {shown(with_options(problem.hint))}"))
        self.results.summary(summary)
