"""Finished results: a table or a line for people, JSON lines for scripts, on stdout.

Names are shown with `shown`, never as markup.
"""

from __future__ import annotations

import json as jsonlib
import os
import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO, cast

from rich.console import Console
from rich.text import Text

from dacse_cli.cli.outlet import Outlet
from dacse_cli.cli.render.table import Table
from dacse_cli.cli.render.text import chunks_text, clock, fact_text, files_text, forecast_text, skipped_text
from dacse_cli.cli.usage import with_options
from dacse_cli.files.names import shown
from dacse_cli.pipeline.wire.outcome import Outcome, Result, Summary

if TYPE_CHECKING:
    from dacse_cli.api.trial import Trial
    from dacse_cli.hub.listing import Listed
    from dacse_cli.pipeline.record.status import Status
    from dacse_cli.pipeline.run.forecast import Forecast

STYLE = {Outcome.DONE: "green", Outcome.WARNED: "yellow", Outcome.SKIPPED: "dim", Outcome.FAILED: "red"}

NAMES = {Outcome.NOT_REACHED.value: "not done"}
"""Outcome -> its name in tables, where its own name is unclear."""
MOST_FAILED = 10
"""Highest number of failed inputs that are repeated at the end of a run."""


def failed_line(result: Result) -> Text:
    """A line with an input that failed, and why."""
    return Text(f"{'failed':<12}{shown(result.source)}  {shown(with_options(result.message))}", "red")


WHERE = {
    "built-in": ("built in", "green"),
    "cached": ("in the cache", "green"),
    "incomplete": ("incomplete", "yellow"),
    "known": ("to download", "dim"),
}
"""State of a model -> how a table shows it."""


def console(outlet: Outlet) -> Console:
    """A console of a usable width that never interprets names as markup."""
    width = None if _columns() >= 20 else 80
    file = cast(TextIO, outlet)
    return Console(file=file, width=width, markup=False, emoji=False, highlight=False, soft_wrap=True)


def printer(*, json: bool) -> Printer:
    """Results on standard output, for a command without progress: does not import `screen`."""
    return Printer(Outlet(sys.stdout), json=json, quiet=False)


def _columns() -> int:
    """`COLUMNS` if it is a number, else 80."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        return 80


class Printer:
    """Results of a command. With `json` every result is a JSON object on its own line."""

    def __init__(self, outlet: Outlet, *, json: bool, quiet: bool) -> None:
        self.json, self.quiet = json, quiet
        self._outlet, self._out = outlet, console(outlet)

    def record(self, data: dict[str, Any]) -> None:
        """One result for scripts; nothing without `--json`."""
        if self.json:
            self._outlet.write(jsonlib.dumps(data) + "\n")
            self._outlet.flush()

    @property
    def lost(self) -> OSError | None:
        """Why results could not be printed. None if the reader closed the pipe, which is not an error."""
        error = self._outlet.error
        return None if isinstance(error, BrokenPipeError) else error

    def summary(self, summary: Summary) -> None:
        """The summary of a run."""
        if self.json:
            self.record(summary.to_json())
        elif not self.quiet:
            self._summary_table(summary)

    def _summary_table(self, summary: Summary) -> None:
        table = Table()
        for name, count in summary.counts.items():
            if count:
                said = skipped_text(summary.skipped) if name == "skipped" else str(count)
                table.add_row(Text(NAMES.get(name, name), STYLE.get(Outcome(name), "")), said)
        if summary.replaced:
            table.add_row(
                "replaced", f"{summary.replaced}, made with other options or before the input changed"
            )
        if summary.chunks:
            table.add_row("chunks", chunks_text(summary.chunks))
        if summary.ignored:
            table.add_row("ignored", f"{files_text(summary.ignored)} (not audio, or not chosen)")
        if summary.seconds:
            pace = summary.seconds / summary.elapsed
            took = f"{clock(summary.seconds)} in {clock(summary.elapsed)}"
            table.add_row("audio", f"{took} ({pace:.2f} x real time, loading included)")
        if summary.resumed:
            table.add_row("reused", f"{clock(summary.resumed)} of it from an earlier run")
        self._out.print(table)
        self._failures(summary)

    def _failures(self, summary: Summary) -> None:
        """Print the failed inputs again, unless the run had one input only."""
        if sum(summary.counts.values()) == 1:
            return
        failed = [result for result in summary.results if result.outcome is Outcome.FAILED][:MOST_FAILED]
        for result in failed:
            self._out.print(failed_line(result))
        if more := summary.counts[Outcome.FAILED.value] - len(failed):
            where = f": dacse status {shown(shlex.quote(summary.place))}" if summary.place else ""
            self._out.print(Text(f"and {more} more{where}"))

    def page(self, path: str) -> None:
        """The path of a run's report."""
        if self.json:
            self.record({"type": "report", "page": path})
        elif not self.quiet:
            self._out.print(Text(f"report  {shown(path)}"))

    def trial(self, source: str, trial: Trial) -> None:
        """The seconds that were tried, and the files written."""
        files = [trial.original, *trial.made.values()]
        if self.json:
            times = {"start": trial.start, "seconds": trial.seconds}
            self.record({"type": "trial", "source": source, **times, "files": [str(file) for file in files]})
        elif not self.quiet:
            span = f"{clock(trial.start)} to {clock(trial.start + trial.seconds)}"
            names = ", ".join(file.name for file in files)
            self._out.print(Text(f"tried   {span} of {shown(source)}"))
            self._out.print(Text(f"files   {names} in {shown(str(trial.original.parent))}"))

    def forecast(self, rows: list[Forecast]) -> None:
        """The plan of a dry run."""
        rows = [replace(row, skipped=with_options(row.skipped)) for row in rows]
        todo = [row for row in rows if not row.skipped]
        if self.json:
            for row in rows:
                self.record({"type": "plan", **vars(row)})
        else:
            for row in rows:
                note = (
                    f"  ({shown(row.skipped)})"
                    if row.skipped
                    else f"  {clock(row.seconds)}" + (f", {row.chunks} chunks" if row.chunks else "")
                )
                self._out.print(Text(f"{shown(row.source)} -> {shown(row.target)}{note}"))
        seconds, size = sum(row.seconds for row in todo), sum(row.output_bytes for row in todo)
        expected = [row.expected_seconds for row in todo]
        known = bool(todo) and None not in expected
        total = {
            "type": "plan-summary",
            "files": len(todo),
            "audio_seconds": round(seconds, 3),
            "chunks": sum(row.chunks for row in todo),
            "output_bytes": size,
            "expected_seconds": round(sum(e for e in expected if e), 3) if known else None,
        }
        if self.json:
            self.record(total)
        else:
            self._out.print(Text(forecast_text(rows)))

    def models(self, found: list[Listed]) -> None:
        """Models by name, with their size on the disk."""
        if self.json:
            for entry in found:
                self.record({"type": entry.kind, **entry.to_json()})
            return
        table = Table(right=(3,))
        table.add_row(*(Text(head, "bold") for head in ("name", "kind", "where", "size", "licence", "")))
        for entry in found:
            size = f"{entry.bytes / 1e6:,.0f} MB" if entry.bytes else ""
            where, style = WHERE[entry.state]
            licence = entry.licence or "see its page"
            table.add_row(
                shown(entry.name), entry.kind, Text(where, style), size, shown(licence), shown(entry.note)
            )
        self._out.print(table)

    def status(self, status: Status) -> None:
        """What an output folder holds."""
        failed = [(target, with_options(why)) for target, why in status.failed]
        if self.json:
            self.record({"type": "status", **vars(status), "failed": failed})
            return
        table = Table()
        table.add_row(Text("finished", "green"), f"{status.finished}, {status.finished_bytes / 1e6:.1f} MB")
        if status.left:
            again = "; the last run was stopped, run its command again" if status.stopped else ""
            table.add_row(Text("not done", "yellow"), f"{status.left}{again}")
        for target in status.missing:
            table.add_row(Text("changed", "yellow"), Text(shown(target)))
        for target, warning in status.warned:
            table.add_row(Text("done-warned", "yellow"), Text(f"{shown(target)}  {shown(warning)}"))
        for target, why in failed:
            table.add_row(Text("failed", "red"), Text(f"{shown(target)}  {shown(why)}"))
        for holder in status.writing:
            table.add_row("writing", Text(shown(holder)))
        self._out.print(table)

    def facts(self, name: str, facts: dict[str, Any]) -> None:
        """What a file holds."""
        if self.json:
            self.record({"type": "facts", "file": name, **facts})
            return
        table = Table(shown(name))
        for key, value in facts.items():
            if value is not None:
                table.add_row(*fact_text(key, value))
        self._out.print(table)

    def finding(self, name: str, state: str, text: str, data: dict[str, Any]) -> None:
        """One line of a diagnosis."""
        if self.json:
            self.record({"type": "finding", **data})
            return
        line = Text(f"{state:<5}", {"ok": "green", "note": "yellow", "bad": "red"}[state])
        self._out.print(line.append(f"{name:<15}{shown(text)}", ""))

    def conclude(self, text: str, data: dict[str, Any]) -> None:
        """The end of a command: `text` to read, or `data` for scripts."""
        if self.json:
            self.record(data)
        elif not self.quiet:
            self._out.print(Text(text))

    def print(self, text: str) -> None:
        """A finished text, unchanged."""
        self._out.print(Text(text))

    def location(self, kind: str, name: str, revision: str | None, folder: str) -> None:
        """The folder of a model."""
        if self.json:
            self.record({"type": kind, "name": name, "revision": revision, "folder": folder})
            return
        at = f" at {revision[:12]}" if revision else ""
        self._out.print(Text(f"{kind} {shown(name)}{at}: {shown(folder)}"))
