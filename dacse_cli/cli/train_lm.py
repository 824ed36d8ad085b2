"""`dacse train lm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dacse_cli.cli import options as opt
from dacse_cli.cli import train_options as train
from dacse_cli.cli.files import recordings

_MODEL, _DATA = "Model", "Data"


def lm(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            show_default=False,
            help="Pairs: what `dacse mix` has written, or a folder with noisy/ and clean/. With --noise also "
            "clean speech alone.",
        ),
    ],
    output: train.OutArg,
    recipe: train.RecipeOpt = None,
    settings: train.SetOpt = None,
    size: Annotated[
        str | None,
        typer.Option("--size", rich_help_panel=_MODEL, show_default=False, help="250M, 1B, 2B or 4B, fresh."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config", rich_help_panel=_MODEL, show_default=False, help="A config.json, fresh weights."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            rich_help_panel=_MODEL,
            show_default=False,
            help="Go on with a model: a Hub id, id@revision or a folder.",
        ),
    ] = None,
    codec: opt.CodecOpt = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(
            "--noise",
            rich_help_panel=_DATA,
            show_default=False,
            help="Mix noise into the clean side anew at every step, by the recipe; several times.",
        ),
    ] = None,
    rir: Annotated[
        list[str] | None,
        typer.Option(
            "--rir", rich_help_panel=_DATA, show_default="simulated rooms", help="Room responses for --noise."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", rich_help_panel=_DATA, show_default="OUT/tokens", help="Keep codes there."),
    ] = None,
    until: train.UntilOpt = None,
    device: train.DeviceOpt = "auto",
    jobs: train.JobsOpt = 1,
    json: train.JsonOpt = False,
    offline: opt.OfflineOpt = False,
    quiet: opt.QuietOpt = False,
    verbose: opt.VerboseOpt = False,
) -> None:
    """Train the language model that writes clean codes after noisy ones, or go on with one.

    Stages, steps, rates and everything else are in a recipe; without one the published one holds. A stopped
    run goes on from its last checkpoint when the command is run again. OUT/STAGE is the best model of each
    stage, a folder for [cyan]enhance --model[/]. Several GPUs: [cyan]accelerate launch -m dacse_cli train
    lm ...[/] (with [cyan]dacse\\[train][/]).

    [bold]Examples[/]

    dacse train lm pairs/ run/ --size 250M

    dacse train lm pairs/ run/ --from disco-eth/DAC-SE1 --recipe examples/recipes/fine-tune.toml

    dacse train lm speech/ run/ --noise noise/ --config config.json --set stage.steps=2000

    dacse train lm pairs/ run/ --recipe examples/recipes/dac-se1.toml --until joint
    """
    from dacse_cli.training.llama.folders import clean_side
    from dacse_cli.training.llama.recipe import read_lm_recipe
    from dacse_cli.training.llama.run import LmRequest, train_lm
    from dacse_cli.training.runs.loop import Listener

    screen = train.open_screen(json=json, quiet=quiet, verbose=verbose)
    request = LmRequest(
        data=data,
        out=output,
        recipe=read_lm_recipe(recipe, settings or [], size=size, config=config, start=start),
        codec=codec,
        clean=recordings([str(clean_side(data))], output) if noise else (),
        noise=recordings(noise or [], output),
        rooms=recordings(rir or [], output),
        jobs=jobs,
        cache=cache,
        until=until,
        device=device,
        offline=offline,
    )
    with screen:
        listener = Listener(
            moment=lambda moment: train.show(screen, moment),
            stage=screen.doing,
            remark=screen.remark,
            download=screen.download,
        )
        outcome = train_lm(request, listener)
    train.conclude(screen, outcome)
