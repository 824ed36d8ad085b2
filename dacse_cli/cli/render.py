"""What a run looks like: bars on a terminal, plain lines elsewhere, JSON for scripts. The only user of Rich.

Results go to stdout, everything else to stderr. Names are shown with `shown`, never as markup.
"""

from __future__ import annotations

import json as jsonlib
import os
import sys
import time
from types import TracebackType
from typing import Any, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from dacse_cli.cli.names import shown
from dacse_cli.cli.outlet import Outlet
from dacse_cli.pipeline.events import Detail, Ended, Event, Planned, Stage
from dacse_cli.pipeline.events import Progress as Advance
from dacse_cli.pipeline.outcome import Outcome, Result, Summary
from dacse_cli.pipeline.run import Forecast
from dacse_cli.pipeline.status import Status

PLAIN_EVERY = 30.0
"""Seconds between progress lines where there is no terminal."""
_STYLE = {Outcome.DONE: "green", Outcome.WARNED: "yellow", Outcome.SKIPPED: "dim", Outcome.FAILED: "red"}


def console(outlet: Outlet) -> Console:
    """A console that never wraps into nothing and never interprets names."""
    width = None if _columns() >= 20 else 80
    file = cast(TextIO, outlet)
    return Console(file=file, width=width, markup=False, emoji=False, highlight=False, soft_wrap=True)


def _columns() -> int:
    """`COLUMNS` if it is a number, else enough."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        return 80


def files_text(count: int) -> str:
    """`1 file`, `2 files`."""
    return f"{count} file" if count == 1 else f"{count} files"


def clock(seconds: float) -> str:
    """`0:07`, `12:30`, `3:04:05`."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


class Screen:
    """One command's output. A context manager while something may be moving."""

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self._json, self._quiet, self._verbose = json, quiet, verbose
        errors, self._results = Outlet(sys.stderr), Outlet(sys.stdout)
        self._err, self._out = console(errors), console(self._results)
        # asked of the stream: FORCE_COLOR makes Rich take any pipe for a terminal
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
        self._files = self._ended = 0
        self._total = 0.0
        self._last_line = time.monotonic()

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    # -- while it runs -----------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Show one event of a run."""
        if isinstance(event, Planned):
            self._files, self._total = event.files, event.seconds
            self._say(f"{files_text(event.files)}, {clock(event.seconds)} of audio")
        elif isinstance(event, Stage):
            self._stage(event.text)
        elif isinstance(event, Detail) and self._verbose:
            self._say("\n".join(map(shown, event.text.splitlines())))
        elif isinstance(event, Advance):
            self._advance(event)
        elif isinstance(event, Ended):
            self._end(event.result)

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
        done = min(event.seconds, self._total) if self._total else event.seconds
        right = f"{self._ended}/{files_text(self._files)}  {clock(done)}/{clock(self._total)}"
        right += speed(event, self._total)
        self._move(done, self._total, right)

    def _move(self, done: float, total: float, right: str) -> None:
        """Bring the bar to `done` of `total`; without one, say `right` now and then."""
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

    def _end(self, result: Result) -> None:
        if self._json:
            self._print_json(result.to_json())
        if result.outcome is Outcome.NOT_REACHED:
            return
        if result.outcome is not Outcome.SKIPPED:
            self._ended += 1
        if result.outcome is Outcome.FAILED:
            self._err.print(Text(f"failed  {shown(result.source)}: {shown(result.message)}", "red"))
        elif result.outcome is not Outcome.SKIPPED or self._verbose or result.reason == "exists":
            self._line(result)

    def _line(self, result: Result) -> None:
        if self._quiet or self._json:
            return
        text = Text(f"{result.outcome.value:<12}", _STYLE.get(result.outcome, ""))
        text.append(shown(result.target if result.outcome is not Outcome.SKIPPED else result.source), "")
        if result.message:
            text.append(f"  {shown(result.message)}", "dim")
        self._err.print(text)

    def download(self, file: str, done: int, total: int) -> None:
        """Progress of one file that is being fetched; bytes."""
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

    # -- results -----------------------------------------------------------------------------------------

    def _print_json(self, data: dict[str, Any]) -> None:
        """One line on stdout."""
        self._results.write(jsonlib.dumps(data) + "\n")
        self._results.flush()

    @property
    def lost(self) -> OSError | None:
        """Why results could not be shown: nothing where the reader has left, which is the reader's right."""
        error = self._results.error
        return None if isinstance(error, BrokenPipeError) else error

    def summary(self, summary: Summary) -> None:
        """The account of a run."""
        if summary.fatal is not None:
            self._err.print(Text(f"dacse: {shown(summary.fatal.message)}", "red"))
            if summary.fatal.hint:
                self._err.print(Text(f"  {shown(summary.fatal.hint)}"))
        if self._json:
            self._print_json(summary.to_json())
        elif not self._quiet:
            self._summary_table(summary)

    def _summary_table(self, summary: Summary) -> None:
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, count in summary.counts.items():
            if count:
                table.add_row(Text(name, _STYLE.get(Outcome(name), "")), str(count))
        if summary.ignored:
            table.add_row("passed over", f"{files_text(summary.ignored)} that are not audio")
        if summary.seconds:
            pace = summary.seconds / summary.elapsed
            table.add_row(
                "audio", f"{clock(summary.seconds)} in {clock(summary.elapsed)} ({pace:.2f} x real time)"
            )
        self._out.print(table)

    def forecast(self, rows: list[Forecast]) -> None:
        """The plan of a dry run."""
        todo = [row for row in rows if not row.skipped]
        if self._json:
            for row in rows:
                self._print_json({"type": "plan", **vars(row)})
        else:
            for row in rows:
                note = (
                    f"  ({shown(row.skipped)})"
                    if row.skipped
                    else f"  {clock(row.seconds)}, {row.chunks} chunks"
                )
                self._out.print(Text(f"{shown(row.source)} -> {shown(row.target)}{note}"))
        seconds, size = sum(row.seconds for row in todo), sum(row.output_bytes for row in todo)
        expected = [row.expected_seconds for row in todo]
        work = (
            clock(sum(e for e in expected if e))
            if todo and None not in expected
            else "unknown before a first run"
        )
        total = {
            "type": "plan-summary",
            "files": len(todo),
            "audio_seconds": round(seconds, 3),
            "chunks": sum(row.chunks for row in todo),
            "output_bytes": size,
            "expected": work,
        }
        if self._json:
            self._print_json(total)
        else:
            self._out.print(
                f"{files_text(len(todo))}, {clock(seconds)} of audio, {total['chunks']} chunks, "
                f"at most {size / 1e6:.1f} MB; expected time: {work}"
            )

    def status(self, status: Status) -> None:
        """What an output folder holds."""
        if self._json:
            self._print_json({"type": "status", **vars(status)})
            return
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        table.add_row(Text("finished", "green"), f"{status.finished}, {status.finished_bytes / 1e6:.1f} MB")
        for target in status.missing:
            table.add_row(Text("changed", "yellow"), Text(shown(target)))
        for target, why in status.failed:
            table.add_row(Text("failed", "red"), Text(f"{shown(target)}: {shown(why)}"))
        for holder in status.writing:
            table.add_row("writing", Text(shown(holder)))
        self._out.print(table)

    def facts(self, name: str, facts: dict[str, Any]) -> None:
        """What a file holds."""
        if self._json:
            self._print_json({"type": "facts", "file": name, **facts})
            return
        table = Table(
            show_header=False, box=None, padding=(0, 2, 0, 0), title=Text(shown(name)), title_justify="left"
        )
        for key, value in facts.items():
            if value is not None:
                table.add_row(key.replace("_", " "), Text(shown(str(value))))
        self._out.print(table)

    def finding(self, name: str, state: str, text: str, data: dict[str, Any]) -> None:
        """One line of a diagnosis."""
        if self._json:
            self._print_json({"type": "finding", **data})
            return
        line = Text(f"{state:<5}", {"ok": "green", "note": "yellow", "bad": "red"}[state])
        self._out.print(line.append(f"{name:<15}{shown(text)}", ""))

    def scored(self, system: str, recording: str) -> None:
        """One recording of one system has been scored."""
        self._say(f"scored  {shown(system)}  {shown(recording)}")

    def remark(self, text: str) -> None:
        """Something to know that stops nothing."""
        self._say(shown(text), "yellow")

    def record(self, data: dict[str, Any]) -> None:
        """One result for scripts; nothing without `--json`."""
        if self._json:
            self._print_json(data)

    def conclude(self, text: str, data: dict[str, Any]) -> None:
        """The end of a command: `text` to read, or `data` for scripts."""
        if self._json:
            self._print_json(data)
        elif not self._quiet:
            self._out.print(Text(text))

    def print(self, text: str) -> None:
        """A finished text, unchanged."""
        self._out.print(Text(text))

    def location(self, kind: str, name: str, revision: str | None, folder: str, note: str | None) -> None:
        """Where a model lies."""
        if self._json:
            self._print_json({"type": kind, "name": name, "revision": revision, "folder": folder})
            return
        if note:
            self._say(shown(note), "yellow")
        at = f" at {revision[:12]}" if revision else ""
        self._out.print(Text(f"{kind} {shown(name)}{at}: {shown(folder)}"))


def speed(event: Advance, total: float) -> str:
    """Real-time factor and time left, as soon as there is something to judge by."""
    if event.elapsed < 1 or event.seconds <= 0:
        return ""
    pace = event.seconds / event.elapsed
    left = max(0.0, total - event.seconds) / pace
    return f"  {pace:.2f} x real time  {clock(left)} left"
