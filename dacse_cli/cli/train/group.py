"""The group `dacse train` and its commands."""

from __future__ import annotations

from typing import ClassVar

import typer

from dacse_cli.cli.lazy import Later, LazyGroup


class _Train(LazyGroup):
    """The commands below `dacse train`."""

    later: ClassVar = {
        "lm": Later("train.lm:lm", "Train DAC-SE1's language model"),
        "set": Later("train.set:set_", "Train SET, the transducer, or one of its baselines"),
        "mask": Later("train.mask:mask", "Train a filter that masks spectra"),
        "codec": Later("train.codec:codec", "Train a codec by the DAC recipe"),
        "vae": Later("train.vae:vae", "Train a speech VAE by the recipe of DC-Speech-VAE"),
        "plan": Later("train.plan:plan", "Estimate a training: memory, FLOPs, hours"),
    }


app = typer.Typer(
    name="train",
    cls=_Train,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train a language model, SET, a filter or a codec; estimate memory and time.",
)


@app.callback()
def train() -> None:
    """Train a language model, SET, a filter or a codec; estimate memory and time."""
