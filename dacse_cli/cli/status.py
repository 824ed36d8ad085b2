"""`dacse status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dacse_cli.cli import options as opt


def status(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="An output folder.")],
    json: opt.JsonOpt = False,
) -> None:
    """What an output folder holds: finished and failed files of all runs and shards, and who is writing.

    [bold]Examples[/]

    dacse status out/
    """
    from dacse_cli.cli.render import Screen
    from dacse_cli.pipeline.status import look

    Screen(json=json).results.status(look(output))
