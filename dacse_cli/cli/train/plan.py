"""`dacse train plan`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

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
            help="250M to 4B; set, nar, set-small, nar-small; 16khz, 24khz, 44khz; vae (DC-Speech-VAE).",
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
            show_default="0.4; for all but language models 0.2",
            help="Assumed share of the peak FLOPs (MFU).",
        ),
    ] = None,
    frames: Annotated[
        int, typer.Option("--frames", min=1, help="Codec frames per pair; 344 are 4 s at 44.1 kHz.")
    ] = 344,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Pairs per GPU and backward pass.")] = 1,
    accumulate: Annotated[int, typer.Option("--accumulate", min=1, help="Backward passes per step.")] = 16,
    checkpointing: Annotated[
        bool,
        typer.Option("--checkpointing/--no-checkpointing", help="Recompute activations; takes less memory."),
    ] = True,
    json: run.JsonOpt = False,
) -> None:
    """Estimate what training a published model or codec takes: memory, speed, hours.

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
    from dacse_cli.training.vae.plan import SIZES as VAES
    from dacse_cli.training.vae.plan import vae_plan

    work, rest = Work(frames, rows, accumulate, checkpointing), mfu or 0.2

    def of_model(size: str) -> Plan:
        return published_plan(size, work=work, tokens=tokens, gpus=gpus, mfu=mfu or 0.4)

    kinds = (
        _Kind("plan", "size", SIZES, of_model, _MODELS, ("memory_bytes",)),
        _Kind("set-plan", "SET", SETS, partial(set_plan, frames=frames, mfu=rest), _TRANSDUCERS),
        _Kind("codec-plan", "codec", CODECS, partial(codec_plan, gpus=gpus, mfu=rest), _CODECS),
        _Kind("vae-plan", "speech VAE", VAES, partial(vae_plan, gpus=gpus, mfu=rest), _CODECS),
    )
    kind_of = {size: kind for kind in kinds for size in kind.sizes}
    wanted = sizes or list(kind_of)
    for kind in kinds:  # the first one's function raises an error for an unknown size
        plans = [kind.plan(size) for size in wanted if kind_of.get(size, kinds[0]) is kind]
        if plans:
            _show(kind, plans, json=json)


@dataclass(frozen=True)
class _Kind:
    """One kind of plan: its sizes, table and JSON records."""

    record: str
    """`type` of its JSON records."""
    title: str
    """Heading of its table's first column."""
    sizes: Collection[str]
    plan: Callable[[str], Any]
    columns: Mapping[str, Callable[[Any], str]]
    """Heading, in which `{0}` is the first plan -> plan -> text of the cell."""
    also: tuple[str, ...] = ()
    """Properties that the JSON records contain besides the fields."""


def _show(kind: _Kind, plans: Sequence[Any], *, json: bool) -> None:
    """A line of JSON for each plan, or a table."""
    from dacse_cli.cli.render.results import printer
    from dacse_cli.cli.render.text import aligned

    results = printer(json=json)
    if json:
        for plan in plans:
            also = {name: getattr(plan, name) for name in kind.also}
            results.record({"type": kind.record, **asdict(plan), **also})
        return
    header = [kind.title, *(name.format(plans[0]) for name in kind.columns)]
    rows = [[plan.name, *(say(plan) for say in kind.columns.values())] for plan in plans]
    results.print(aligned([header, *rows]))


_MODELS: dict[str, Callable[[Plan], str]] = {
    "parameters": lambda plan: f"{plan.parameters / 1e6:.0f} M",
    "state": lambda plan: f"{plan.state_bytes / 1e9:.1f} GB",
    "activations": lambda plan: f"{plan.activation_bytes / 1e9:.1f} GB",
    "on 80 GB": lambda plan: "fits" if plan.fits else "too much",
    "PFLOP/step": lambda plan: f"{plan.flops_per_step / 1e15:.2f}",
    "tokens/s, 1 GPU": lambda plan: f"{plan.tokens_per_second:,.0f}",
    "speed-up, {0.gpus}": lambda plan: f"{plan.gpus * plan.efficiency:.2f}",
    "hours, {0.gpus}": lambda plan: f"{plan.hours:.1f}",
}
_TRANSDUCERS: dict[str, Callable[[SetPlan], str]] = {
    "parameters": lambda plan: f"{plan.parameters / 1e6:.1f} M",
    "state": lambda plan: f"{plan.state_bytes / 1e9:.2f} GB",
    "TFLOP/h of pairs": lambda plan: f"{plan.flops_per_hour / 1e12:.0f}",
    "hours for 1,000 h, 1": lambda plan: f"{plan.hours:.1f}",
}
_CODECS: dict[str, Callable[[CodecPlan], str]] = {
    "parameters": lambda plan: f"{plan.parameters / 1e6:.1f} M",
    "discriminators": lambda plan: f"{plan.discriminators / 1e6:.1f} M",
    "state": lambda plan: f"{plan.state_bytes / 1e9:.1f} GB",
    "TFLOP/step": lambda plan: f"{plan.flops_per_step / 1e12:.1f}",
    "hours, {0.gpus}": lambda plan: f"{plan.hours:.1f}",
}
