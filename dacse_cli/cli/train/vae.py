"""`dacse train vae`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from dacse_cli.cli.files import recordings
from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.training import JobsOpt, OutArg, TrainingOptions, TrainingOutputOptions


@grouped
def vae(
    speech: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEECH...",
            show_default=False,
            help="Clean speech: files, folders (searched recursively); patterns in quotes.",
        ),
    ],
    output: OutArg,
    training: TrainingOptions,
    printing: TrainingOutputOptions,
    jobs: JobsOpt = 1,
) -> None:
    """Train a speech VAE by the recipe of DC-Speech-VAE, new or from an existing one.

    Mel spectra become 5.4 latents per second. Training adds noise to the latents; losses: mel, dispersive,
    discriminators on bands and patches. A stopped run continues from its last checkpoint when run again.
    OUT/STAGE is the best model of each stage, a folder for [cyan]--codec[/]; its vocoder is that of
    [cyan]--set model.vocoder=FOLDER[/] or of [cyan]--from[/], else Griffin and Lim's iteration, which sounds
    worse. A stage with [cyan]part = "vocoder"[/] trains BigVGAN instead, the one of [cyan]--from[/].
    Several GPUs: as for [cyan]train lm[/].

    [bold]Examples[/]

    dacse train vae speech/ run/

    dacse train vae speech/ run/ --config config.json --set stage.steps=20000

    dacse train vae speech/ run/ --from old-run/vae --set stage.rate=3e-5

    dacse train vae speech/ voc/ --from run/vae --set stage.part=vocoder --set stage.optimizer=adamw
    """
    from dacse_cli.training.vae.recipe import VaeRecipe
    from dacse_cli.training.vae.run import VaeRequest, train_vae

    request = VaeRequest(
        recipe=training.read(VaeRecipe),
        clean=recordings(speech, output),
        jobs=jobs,
        out=output,
        until=training.until,
        device=training.device,
        offline=printing.offline,
    )
    printing.show(partial(train_vae, request))
