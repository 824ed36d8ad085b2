"""`dacse try`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from dacse_cli.cli.options import run
from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.networks import Chunks, Generation


@grouped
def try_(
    source: Annotated[Path, typer.Argument(metavar="INPUT", show_default=False, help="One recording.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", show_default="talk.try beside talk.wav", help="A new folder."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=60, metavar="N", help="Length of what is tried.")
    ] = 10.0,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    networks: Generation,
    chunks: Chunks,
    printing: run.OutputOptions,
) -> None:
    """Try a recording's noisiest seconds in three strengths, on a page to compare them by ear.

    Writes these seconds unchanged and in the strengths gentle, normal and strong, with a report.

    [bold]Examples[/]

    dacse try talk.wav

    dacse try talk.wav -o trial/ --model nano --no-open
    """
    from dacse_cli.api.finding import open_enhancer
    from dacse_cli.api.trial import trial_files, try_out
    from dacse_cli.api.writing import refuse_input
    from dacse_cli.cli.batch.reporting import write_trial
    from dacse_cli.errors import InputError, UsageError
    from dacse_cli.report.assembly import LINES, PAGE

    if not source.is_file():
        raise InputError(f"{source}: no such file", reason="missing")
    folder = output or source.with_name(f"{source.stem}.try")
    elsewhere = "Give another folder with -o."
    if folder.exists() and not (folder / LINES).exists():
        raise UsageError(f"{folder} exists and contains no report", hint=elsewhere)
    refuse_input(source, [*trial_files(folder).values(), folder / PAGE, folder / LINES], elsewhere)
    models = networks.options(printing.offline, printing.remark)
    screen = printing.screen()
    with screen:
        screen.remark(f"trying {seconds:g} s of {source}")
        screen.doing("loading the models")
        with open_enhancer(models, chunks.options(), screen.download) as enhancer:
            screen.doing(f"enhancing {seconds:g} s")
            trial = try_out(enhancer, source, folder, seconds)
        page = write_trial(trial, source, folder, models.model, screen.drawn)
    screen.results.trial(str(source), trial)
    screen.results.page(str(page))
    if browser:
        webbrowser.open(page.resolve().as_uri())
