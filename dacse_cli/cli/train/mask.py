"""`dacse train mask`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from dacse_cli.cli.files import recordings
from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.training import JobsOpt, NoiseOpt, OutArg, TrainingOptions, TrainingOutputOptions


@grouped
def mask(
    clean: Annotated[
        list[str],
        typer.Argument(
            metavar="CLEAN...",
            show_default=False,
            help="Clean speech: files, folders (searched recursively); patterns in quotes.",
        ),
    ],
    output: OutArg,
    training: TrainingOptions,
    printing: TrainingOutputOptions,
    noise: NoiseOpt = None,
    rir: Annotated[
        list[str] | None,
        typer.Option(
            "--rir",
            rich_help_panel="Data",
            show_default="simulated rooms",
            help="Recorded room impulse responses.",
        ),
    ] = None,
    jobs: JobsOpt = 1,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile/--no-compile",
            rich_help_panel="Run",
            help="Compile the network: faster steps; needs a C++ compiler.",
        ),
    ] = False,
) -> None:
    """Train a mask network, the filter of [cyan]enhance --method mask[/], new or from an existing one.

    Noisy speech is mixed on the fly: several noises, rooms, band limits, clipping, codec damage. A
    stopped run continues from its last checkpoint when the command is run again. OUT/STAGE is the best
    network of each stage, a folder for [cyan]enhance --model[/]. Several GPUs: as for [cyan]train lm[/].

    [bold]Examples[/]

    dacse train mask speech/ run/ --noise noise/

    dacse train mask speech/ run/ --noise noise/ --set model.width=32 --set stage.steps=20000

    dacse train mask speech/ run/ --noise noise/ --from old-run/mask --set stage.rate=1e-3
    """
    from dacse_cli.training.mask.recipe import MaskRecipe
    from dacse_cli.training.mask.run import MaskRequest, train_mask

    request = MaskRequest(
        recipe=training.read(MaskRecipe),
        clean=recordings(clean, output),
        noise=recordings(noise or [], output),
        rooms=recordings(rir or [], output),
        jobs=jobs,
        compiled=compiled,
        out=output,
        until=training.until,
        device=training.device,
        offline=printing.offline,
    )
    printing.show(partial(train_mask, request))
