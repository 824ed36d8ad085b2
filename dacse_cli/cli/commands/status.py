"""`dacse status`."""

from __future__ import annotations

from typing import Annotated

import typer

from dacse_cli.cli.options import run


def status(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="An output folder, or its URL.")],
    json: run.JsonOpt = False,
) -> None:
    """Show what an output folder holds: finished and failed files of all runs and shards, and active runs.

    [bold]Examples[/]

    dacse status out/
    """
    from dacse_cli.cli.render.results import printer
    from dacse_cli.pipeline.record.status import look
    from dacse_cli.store.urls import as_local

    printer(json=json).status(look(as_local(output)))
