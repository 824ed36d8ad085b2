"""Options that the trainings share, once, and what they show while they run."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dacse_cli.cli.render import Screen
    from dacse_cli.training.runs.loop import Moment, Outcome

_RUN = "Run"

OutArg = Annotated[
    Path, typer.Argument(metavar="OUT", show_default=False, help="A folder for models, log and checkpoint.")
]
RecipeOpt = Annotated[
    Path | None,
    typer.Option("--recipe", "-r", show_default="the published one", help="A TOML file: all settings."),
]
SetOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="TABLE.KEY=VALUE",
        show_default=False,
        help="Change one setting of the recipe; may be given several times.",
    ),
]
DeviceOpt = Annotated[
    str,
    typer.Option("--device", rich_help_panel=_RUN, help="auto, cuda, cuda:1, mps or cpu; see accelerate."),
]
JobsOpt = Annotated[
    int, typer.Option("--jobs", "-j", min=1, rich_help_panel=_RUN, help="Processes that read recordings.")
]
UntilOpt = Annotated[
    str | None,
    typer.Option(
        "--until", metavar="STAGE", show_default="the last", rich_help_panel=_RUN, help="Stop after it."
    ),
]
JsonOpt = Annotated[
    bool,
    typer.Option("--json", rich_help_panel=_RUN, help="One JSON object a line of the log, then a summary."),
]


def open_screen(*, json: bool, quiet: bool, verbose: bool) -> Screen:
    """A screen; of several processes only the first shows anything but errors."""
    from dacse_cli.cli.render import Screen

    first = int(os.environ.get("RANK", "0")) == 0
    return Screen(json=json and first, quiet=quiet or not first, verbose=verbose)


def show(screen: Screen, moment: Moment) -> None:
    """One line of the log."""
    from dacse_cli.cli.render.text import measured

    screen.trained(moment.stage, moment.step, moment.steps, measured(moment.numbers))
    screen.results.record({"type": "step", **asdict(moment)})


def conclude(screen: Screen, outcome: Outcome) -> None:
    """Where the model is."""
    from dacse_cli.cli.names import shown
    from dacse_cli.cli.render.text import clock, measured

    data: dict[str, Any] = {"type": "summary", **asdict(outcome), "model": str(outcome.model)}
    text = f"{outcome.steps} steps in {clock(outcome.elapsed)}  {measured(outcome.last)}".rstrip()
    screen.results.conclude(f"{text}\nmodel: {shown(str(outcome.model))}", data)
