"""`dacse train set`."""

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
def set_(
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
    """Train SET, the transducer that writes all codes of a frame in one step, or one of its baselines.

    Sizes: set, set-small (with a predictor), nar, nar-small (every frame alone). Stages, steps, rates and
    everything else are in a recipe; without one the published numbers hold. A stopped run continues from its
    last checkpoint when the command is run again. OUT/STAGE is the best model of each stage, a folder for
    [cyan]enhance --model[/]. Several GPUs: [cyan]torchrun --nproc-per-node 4 -m dacse_cli train set ...[/]

    [bold]Examples[/]

    dacse train set pairs/ run/ --size set

    dacse train set pairs/ run/ --size set-small --codec codec/ --recipe examples/recipes/set/set.toml

    dacse train set pairs/ run/ --size nar --set model.codebooks=2
    """
    from dacse_cli.training.set.recipe import SetRecipe
    from dacse_cli.training.set.run import SetRequest, train_set
    from dacse_cli.training.sound.folders import clean_side

    request = SetRequest(
        recipe=course.read(SetRecipe),
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
    voice.show(partial(train_set, request))
