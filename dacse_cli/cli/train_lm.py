"""`dacse train lm`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dacse_cli.cli.files import recordings
from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.networks import CodecOpt
from dacse_cli.cli.options.training import Course, JobsOpt, NoiseOpt, OutArg, TrainVoice

_data = partial(typer.Option, rich_help_panel="Data")


@grouped
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
    output: OutArg,
    course: Course,
    voice: TrainVoice,
    codec: CodecOpt = None,
    noise: NoiseOpt = None,
    rir: Annotated[
        list[str] | None, _data("--rir", show_default="simulated rooms", help="Room responses for --noise.")
    ] = None,
    cache: Annotated[
        Path | None, _data("--cache", show_default="OUT/tokens", help="Keep codes there.")
    ] = None,
    jobs: JobsOpt = 1,
) -> None:
    """Train the language model that writes clean codes after noisy ones, or continue with one.

    Stages, steps, rates and everything else are in a recipe; the default is the published one. With --noise,
    pairs are mixed anew at every step and nothing is stored. A stopped run continues from its last checkpoint
    when the command is run again. OUT/STAGE is the best model of each stage, a folder for
    [cyan]enhance --model[/]. Several GPUs: [cyan]torchrun --nproc-per-node 4 -m dacse_cli train lm ...[/]

    [bold]Examples[/]

    dacse train lm pairs/ run/ --size 250M

    dacse train lm pairs/ run/ --from disco-eth/DAC-SE1 --recipe examples/recipes/fine-tune.toml

    dacse train lm speech/ run/ --noise noise/ --config config.json --set stage.steps=2000

    dacse train lm pairs/ run/ --recipe examples/recipes/dac-se1.toml --until joint
    """
    from dacse_cli.training.lm.recipe import LmRecipe
    from dacse_cli.training.lm.run import LmRequest, train_lm
    from dacse_cli.training.sound.folders import clean_side

    request = LmRequest(
        recipe=course.read(LmRecipe),
        data=data,
        out=output,
        codec=codec,
        clean=recordings([str(clean_side(data))], output) if noise else (),
        noise=recordings(noise or [], output),
        rooms=recordings(rir or [], output),
        jobs=jobs,
        cache=cache,
        until=course.until,
        device=course.device,
        offline=voice.offline,
    )
    voice.show(partial(train_lm, request))
