"""`dacse train`: its subcommands, one file each."""

from __future__ import annotations

import typer

from dacse_cli.cli.helping import Command, Group
from dacse_cli.cli.train_codec import codec
from dacse_cli.cli.train_lm import lm
from dacse_cli.cli.train_mask import mask
from dacse_cli.cli.train_plan import plan
from dacse_cli.cli.train_set import set_
from dacse_cli.cli.train_vae import vae

app = typer.Typer(
    name="train",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train a language model, SET, a filter or a codec; plan what that takes.",
)
for command in (lm, mask, codec, vae, plan):
    app.command(cls=Command)(command)
app.command("set", cls=Command)(set_)
