"""`dacse train plan`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from dacse_cli.cli.options import run

if TYPE_CHECKING:
    from dacse_cli.training.codec.plan import CodecPlan
    from dacse_cli.training.lm.plan import Plan
    from dacse_cli.training.set.plan import SetPlan


def plan(
    sizes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SIZE...]",
            show_default="all",
            help="250M to 4B; set, nar, set-small, nar-small; 16khz, 24khz, 44khz.",
        ),
    ] = None,
    tokens: Annotated[
        float, typer.Option("--tokens", help="Tokens to train on, noisy and clean ones.")
    ] = 5e9,
    gpus: Annotated[int, typer.Option("--gpus", min=1, help="Number of GPUs (H100, 80 GB).")] = 8,
    mfu: Annotated[
        float | None,
        typer.Option(
            "--mfu",
            show_default="0.4; for SET and codecs 0.2",
            help="Assumed model FLOPs utilisation, as a share of the peak.",
        ),
    ] = None,
    frames: Annotated[
        int, typer.Option("--frames", min=1, help="Codec frames per pair; 344 are 4 s at 44.1 kHz.")
    ] = 344,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Pairs per GPU and backward pass.")] = 1,
    accumulate: Annotated[int, typer.Option("--accumulate", min=1, help="Backward passes per step.")] = 16,
    checkpointing: Annotated[
        bool,
        typer.Option(
            "--checkpointing/--no-checkpointing", help="Recompute activations instead of storing them."
        ),
    ] = True,
    json: run.JsonOpt = False,
) -> None:
    """Compute what training a published model or codec takes: memory, speed, hours.

    Nothing is measured: FLOPs are counted, speed is an assumed share of an H100's peak, and the time to
    average gradients follows from assumed bandwidths, without overlap with the computation.

    [bold]Examples[/]

    dacse train plan

    dacse train plan 44khz --gpus 1

    dacse train plan 1B --gpus 64 --tokens 2e10 --rows 2
    """
    from dacse_cli.training.codec.plan import codec_plan
    from dacse_cli.training.codec.shapes import SIZES as CODECS
    from dacse_cli.training.lm.plan import Work, published_plan
    from dacse_cli.training.lm.sizes import SIZES
    from dacse_cli.training.set.plan import set_plan
    from dacse_cli.training.set.sizes import SIZES as SETS

    work = Work(frames, rows, accumulate, checkpointing)
    wanted = sizes or [*SIZES, *SETS, *CODECS]
    codecs = [codec_plan(size, CODECS[size], gpus=gpus, mfu=mfu or 0.2) for size in wanted if size in CODECS]
    models = [
        published_plan(size, work=work, tokens=tokens, gpus=gpus, mfu=mfu or 0.4)
        for size in wanted
        if size not in CODECS and size not in SETS
    ]
    transducers = [set_plan(size, frames=frames, mfu=mfu or 0.2) for size in wanted if size in SETS]
    (_records if json else _tables)(models, transducers, codecs, gpus)


def _records(models: list[Plan], transducers: list[SetPlan], codecs: list[CodecPlan], gpus: int) -> None:
    """One line of JSON for each plan."""
    from dataclasses import asdict

    from dacse_cli.cli.render import Screen

    record = Screen(json=True).results.record
    for model in models:
        record({"type": "plan", **asdict(model), "memory_bytes": model.memory_bytes})
    for transducer in transducers:
        record({"type": "set-plan", **asdict(transducer)})
    for codec in codecs:
        record({"type": "codec-plan", **asdict(codec), "state_bytes": codec.state_bytes})


def _tables(models: list[Plan], transducers: list[SetPlan], codecs: list[CodecPlan], gpus: int) -> None:
    """A table for each kind of model that was asked for."""
    from dacse_cli.cli.render import Screen
    from dacse_cli.cli.render.text import aligned

    show = Screen().results.print
    if models:
        show(aligned(_table(_MODELS, models, gpus)))
    if transducers:
        show(aligned(_table(_TRANSDUCERS, transducers, 1)))
    if codecs:
        show(aligned(_table(_CODECS, codecs, gpus)))


Found = TypeVar("Found")


def _table(
    columns: Mapping[str, Callable[[Found], str]], plans: Sequence[Found], gpus: int
) -> list[tuple[str, ...]]:
    header = tuple(name.format(gpus) for name in columns)
    return [header, *(tuple(say(plan) for say in columns.values()) for plan in plans)]


_MODELS: dict[str, Callable[[Plan], str]] = {
    "size": lambda plan: plan.name,
    "parameters": lambda plan: f"{plan.parameters / 1e6:.0f} M",
    "state": lambda plan: f"{plan.state_bytes / 1e9:.1f} GB",
    "activations": lambda plan: f"{plan.activation_bytes / 1e9:.1f} GB",
    "on 80 GB": lambda plan: "fits" if plan.fits else "too much",
    "PFLOP/step": lambda plan: f"{plan.flops_a_step / 1e15:.2f}",
    "tokens/s, 1 GPU": lambda plan: f"{plan.tokens_a_second:,.0f}",
    "speed-up, {}": lambda plan: f"{plan.gpus * plan.efficiency:.2f}",
    "hours, {}": lambda plan: f"{plan.hours:.1f}",
}
"""Column, with a place for the number of GPUs -> what stands in it."""
_TRANSDUCERS: dict[str, Callable[[SetPlan], str]] = {
    "SET": lambda plan: plan.name,
    "parameters": lambda plan: f"{plan.parameters / 1e6:.1f} M",
    "state": lambda plan: f"{plan.state_bytes / 1e9:.2f} GB",
    "TFLOP/h of pairs": lambda plan: f"{plan.flops_per_hour / 1e12:.0f}",
    "hours for 1,000 h, 1": lambda plan: f"{plan.hours:.1f}",
}
_CODECS: dict[str, Callable[[CodecPlan], str]] = {
    "codec": lambda plan: plan.name,
    "parameters": lambda plan: f"{plan.parameters / 1e6:.1f} M",
    "discriminators": lambda plan: f"{plan.discriminators / 1e6:.1f} M",
    "state": lambda plan: f"{plan.state_bytes / 1e9:.1f} GB",
    "TFLOP/step": lambda plan: f"{plan.flops_a_step / 1e12:.1f}",
    "hours, {}": lambda plan: f"{plan.hours:.1f}",
}
