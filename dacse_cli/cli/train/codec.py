"""`dacse train codec`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from dacse_cli.cli.files import recordings
from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.training import JobsOpt, NoiseOpt, OutArg, TrainingOptions, TrainingOutputOptions


@grouped
def codec(
    clean: Annotated[
        list[str],
        typer.Argument(
            metavar="CLEAN...",
            show_default=False,
            help="Clean recordings: files, folders (searched recursively); patterns in quotes.",
        ),
    ],
    output: OutArg,
    training: TrainingOptions,
    printing: TrainingOutputOptions,
    noise: NoiseOpt = None,
    jobs: JobsOpt = 1,
    warm_start: Annotated[
        bool,
        typer.Option(
            "--warm-start", rich_help_panel="Model", help="Begin as a linear transform coder (even strides)."
        ),
    ] = False,
) -> None:
    """Train a codec by the DAC recipe, new or from an existing one.

    Losses: mel spectra at seven scales, discriminators on periods and on spectra, codebook and commitment.
    Quantizer dropout is used; codes that are no longer used are replaced. With units.encoder in the recipe,
    codes are k-means units of a speech encoder, and only the decoder is trained. A stopped run continues from
    its last checkpoint when the command is run again. OUT/STAGE is the best codec of each stage, a folder for
    [cyan]--codec[/]. Several GPUs: as for [cyan]train lm[/].

    [bold]Examples[/]

    dacse train codec speech/ run/ --size 44khz

    dacse train codec speech/ run/ --config config.json --warm-start --set stage.steps=20000

    dacse train codec speech/ run/ --from descript/dac_44khz --set stage.steps=10000

    dacse train codec speech/ run/ -r examples/recipes/set/units.toml --set units.encoder=wavlm/
    """
    from dacse_cli.training.codec.recipe import CodecRecipe
    from dacse_cli.training.codec.run import CodecRequest, train_codec

    request = CodecRequest(
        recipe=training.read(CodecRecipe, *(["model.warm_start=true"] if warm_start else [])),
        clean=recordings(clean, output),
        noise=recordings(noise or [], output),
        jobs=jobs,
        out=output,
        until=training.until,
        device=training.device,
        offline=printing.offline,
    )
    printing.show(partial(train_codec, request))
