"""`dacse train lm`."""

from __future__ import annotations

from functools import partial

from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.training import OutArg, Pairs, TrainingOptions, TrainingOutputOptions


@grouped
def lm(pairs: Pairs, output: OutArg, training: TrainingOptions, printing: TrainingOutputOptions) -> None:
    """Train a language model that generates clean codes from noisy ones, new or from an existing one.

    Stages, steps, rates and everything else are in a recipe; the default is the published one. With --noise,
    pairs are mixed on the fly and nothing is stored. A stopped run continues from its last checkpoint
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

    request = LmRequest(
        recipe=training.read(LmRecipe),
        out=output,
        until=training.until,
        device=training.device,
        offline=printing.offline,
        **pairs.given(output),
    )
    printing.show(partial(train_lm, request))
