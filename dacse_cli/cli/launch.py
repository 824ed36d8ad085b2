"""One run from the command line: the library call and its rendering, shared by the three batch commands."""

from __future__ import annotations

import typer

from dacse_cli.cli.render import Screen
from dacse_cli.errors import OutputError
from dacse_cli.pipeline.plan import Request
from dacse_cli.pipeline.run import forecast, run


def launch(request: Request, *, dry_run: bool, json: bool, quiet: bool, verbose: bool) -> None:
    """Do or forecast `request`; exits with the run's code."""
    screen = Screen(json=json, quiet=quiet, verbose=verbose)
    if dry_run:
        with screen:
            rows = forecast(request, screen.tell, screen.download)
        screen.results.forecast(rows)
        return
    with screen:
        summary = run(request, screen.tell, screen.download)
    screen.summary(summary)
    if screen.results.lost and not summary.exit_code:
        raise OutputError(f"all is done, but the report could not be written: {screen.results.lost.strerror}")
    raise typer.Exit(summary.exit_code)
