"""`dacse train set`."""

from __future__ import annotations

from functools import partial

from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.training import Course, OutArg, Pairs, TrainVoice


@grouped
def set_(pairs: Pairs, output: OutArg, course: Course, voice: TrainVoice) -> None:
    """Train SET, the transducer that predicts all codes of a frame in one step, or one of its baselines.

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

    request = SetRequest(
        recipe=course.read(SetRecipe),
        out=output,
        until=course.until,
        device=course.device,
        offline=voice.offline,
        **pairs.given(output),
    )
    voice.show(partial(train_set, request))
