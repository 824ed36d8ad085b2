"""`dacse train codec`."""

from __future__ import annotations

from typing import Annotated

import typer

from dacse_cli.cli import options as opt
from dacse_cli.cli import train_options as train
from dacse_cli.cli.files import recordings

_MODEL = "Model"


def codec(
    clean: Annotated[
        list[str],
        typer.Argument(
            metavar="CLEAN...",
            show_default=False,
            help="Clean recordings: files, folders (searched recursively) or patterns in quotes.",
        ),
    ],
    output: train.OutArg,
    recipe: train.RecipeOpt = None,
    settings: train.SetOpt = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", rich_help_panel=_MODEL, show_default=False, help="16khz, 24khz or 44khz, fresh."
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config", rich_help_panel=_MODEL, show_default=False, help="A DacModel's config.json, fresh."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            rich_help_panel=_MODEL,
            show_default=False,
            help="Go on with a codec: a Hub id, id@revision or a folder.",
        ),
    ] = None,
    warm_start: Annotated[
        bool,
        typer.Option(
            "--warm-start", rich_help_panel=_MODEL, help="Begin as a linear transform coder (even strides)."
        ),
    ] = False,
    until: train.UntilOpt = None,
    device: train.DeviceOpt = "auto",
    json: train.JsonOpt = False,
    offline: opt.OfflineOpt = False,
    quiet: opt.QuietOpt = False,
    verbose: opt.VerboseOpt = False,
) -> None:
    """Train a codec by the DAC recipe, or go on with one.

    Mel spectra at seven scales, discriminators of periods and of spectra, codebook and commitment losses,
    quantizer dropout; codes that fall out of use are moved. A stopped run goes on from its last checkpoint
    when the command is run again. OUT/STAGE is the best codec of each stage, a folder for
    [cyan]--codec[/]. Several GPUs: as for [cyan]train lm[/].

    [bold]Examples[/]

    dacse train codec speech/ run/ --size 44khz

    dacse train codec speech/ run/ --config config.json --warm-start --set stage.steps=20000

    dacse train codec speech/ run/ --from descript/dac_44khz --set stage.steps=10000
    """
    from dacse_cli.training.dac.recipe import read_codec_recipe
    from dacse_cli.training.dac.run import CodecRequest, train_codec
    from dacse_cli.training.runs.loop import Listener

    screen = train.open_screen(json=json, quiet=quiet, verbose=verbose)
    overrides = [*(settings or []), *(["model.warm_start=true"] if warm_start else [])]
    read = read_codec_recipe(recipe, overrides, size=size, config=config, start=start)
    request = CodecRequest(recordings(clean, output), output, read, until, device, offline)
    with screen:
        listener = Listener(
            moment=lambda moment: train.show(screen, moment), remark=screen.remark, download=screen.download
        )
        outcome = train_codec(request, listener)
    train.conclude(screen, outcome)
