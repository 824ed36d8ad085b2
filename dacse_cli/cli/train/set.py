"""`dacse train set`."""

from __future__ import annotations

from functools import partial

from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.training import OutArg, Pairs, TrainingOptions, TrainingOutputOptions


@grouped
def set_(pairs: Pairs, output: OutArg, training: TrainingOptions, printing: TrainingOutputOptions) -> None:
    """Train SET, the transducer that predicts all codes of a frame in one step, or one of its baselines.

    Sizes: set, set-small (with a predictor); nar, nar-small (not autoregressive: every frame by itself).
    Stages, steps, rates and everything else are in a recipe; the default is the published one. A stopped run
    continues from its last checkpoint when the command is run again. OUT/STAGE is the best model of each
    stage, a folder for [cyan]enhance --model[/]. Several GPUs:
    [cyan]torchrun --nproc-per-node 4 -m dacse_cli train set ...[/]

    [bold]Examples[/]

    dacse train set pairs/ run/ --size set

    dacse train set pairs/ run/ --size set-small --codec codec/ --recipe examples/recipes/set/set.toml

    dacse train set pairs/ run/ --size nar --set model.codebooks=2
    """
    from dacse_cli.training.set.recipe import SetRecipe
    from dacse_cli.training.set.run import SetRequest, train_set

    request = SetRequest(
        recipe=training.read(SetRecipe),
        out=output,
        until=training.until,
        device=training.device,
        offline=printing.offline,
        **pairs.given(output),
    )
    printing.show(partial(train_set, request))
