"""One run from the command line: the library call and its display, shared by the batch commands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import typer

from dacse_cli.cli.batch.pipes import Piped, piped
from dacse_cli.cli.options.run import OutputOptions
from dacse_cli.cli.render.screen import Screen
from dacse_cli.errors import OutputError, UsageError
from dacse_cli.files.problems import output_error
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run.forecast import forecast
from dacse_cli.pipeline.run.run import run
from dacse_cli.pipeline.wire.events import Event, Stage
from dacse_cli.pipeline.wire.outcome import Outcome, Summary
from dacse_cli.store.urls import as_local, is_url


def launch(
    request: Request,
    printing: OutputOptions,
    *,
    dry_run: bool,
    report: Path | None = None,
    ray: str | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Run or plan `request`, and write a report into `report` if given; exits with the run's exit code."""
    output = as_local(request.output) if request.output else None
    request = replace(request, inputs=tuple(map(as_local, request.inputs)), output=output)
    if _is_remote(request) and (dry_run or report):
        what = "--dry-run" if dry_run else "--report"
        raise UsageError(f"{what} reads every file: it would have to download all files of the object store")
    if ray and _is_remote(request):
        raise UsageError("--ray needs folders that all machines can read; for object stores use --shard")
    with piped(request) as ready:
        if ready.request is not request and report:
            raise UsageError("--report cannot be combined with -, which leaves no files to show")
        if ready.outlet and printing.json and not dry_run:
            raise UsageError("--json and - both write to standard output: do not combine them")
        if report and not dry_run:
            _make_folder(report)
        screen = printing.screen(piped=bool(ready.outlet and not dry_run))
        for note in notes:
            screen.note_later(note)
        if dry_run:
            with screen:
                rows = forecast(ready.request, screen.tell, screen.download)
            screen.notes()
            screen.results.forecast(list(map(ready.as_typed, rows)))
            return
        raise typer.Exit(_do(ready, screen, report, ray))


def _do(ready: Piped, screen: Screen, report: Path | None, ray: str | None) -> int:
    """Run, write the report, print the summary; returns the exit code."""
    summary = page = None
    try:
        with screen:
            summary = _run(ready, screen, ray)
            page = _report(summary, report, screen) if report else None
    finally:  # also if a signal or an error interrupts the report: the files are done
        if summary is not None:
            screen.summary(summary)
    if ready.inlet is None and ready.outlet is None:
        say_how_to_go_on(ready.request, summary, screen)
    if page is not None:
        screen.results.page(str(page))
    if screen.results.lost and not summary.exit_code:
        raise OutputError(
            f"all files are done, but the results were not printed: {screen.results.lost.strerror}"
        )
    if not summary.exit_code:
        ready.write_stdout()
    return summary.exit_code


def say_how_to_go_on(request: Request, summary: Summary, screen: Screen) -> None:
    """After a stop, print a line if running the same command again processes only the remaining files."""
    left = summary.counts[Outcome.NOT_REACHED.value]
    if summary.stopped_by is not None and left and not request.overwrite:
        where = "continue where this run stopped" if summary.keeps_chunks else "do the rest"
        screen.remark(f"stopped; run the same command again to {where}")


def _is_remote(request: Request) -> bool:
    """Whether an input or the output is in an object store."""
    return any(map(is_url, (*request.inputs, request.output or "")))


def _run(ready: Piped, screen: Screen, ray: str | None) -> Summary:
    """The library call: on this machine, or on a Ray cluster."""

    def tell(event: Event) -> None:
        screen.tell(ready.event_as_typed(event))

    if ray is not None:
        from dacse_cli.pipeline.run.ray_run import run_ray

        # Ray prints many lines for every lost machine; the run's own messages are enough
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            return run_ray(ready.request, ray, tell, screen.download)
    return run(ready.request, tell, screen.download)


def _make_folder(folder: Path) -> None:
    """Create the report's folder before the work begins. Raises `OutputError` and `UsageError`."""
    from dacse_cli.report.assembly import refuse_foreign

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, folder) from None
    refuse_foreign(folder)


def _report(summary: Summary, folder: Path, screen: Screen) -> Path | None:
    """Write the report and return its page; None if the run was stopped."""
    from dacse_cli.cli.batch.reporting import write_report

    if summary.stopped_by is not None:
        screen.remark("no report: the run was stopped")
        return None
    screen.tell(Stage("drawing the report"))
    return write_report(summary, folder, screen.drawn)
