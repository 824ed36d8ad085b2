"""The group `dacse train` and its commands."""

from __future__ import annotations

import typer

from dacse_cli.cli.helping import Command, Group
from dacse_cli.cli.train.codec import codec
from dacse_cli.cli.train.lm import lm
from dacse_cli.cli.train.mask import mask
from dacse_cli.cli.train.plan import plan
from dacse_cli.cli.train.set import set_
from dacse_cli.cli.train.vae import vae

app = typer.Typer(
    name="train",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train a language model, SET, a filter or a codec; plan what that takes.",
)
for command, summary in {
    lm: "Train DAC-SE1's language model",
    set_: "Train SET, the transducer, or one of its baselines",
    mask: "Train a filter that masks spectra",
    codec: "Train a codec by the DAC recipe",
    vae: "Train a speech VAE by the recipe of DC-Speech-VAE",
    plan: "Compute what a training takes: memory, FLOPs, hours",
}.items():
    app.command(command.__name__.rstrip("_"), cls=Command, short_help=summary)(command)
