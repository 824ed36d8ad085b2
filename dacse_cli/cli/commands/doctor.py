"""`dacse doctor`."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from dacse_cli.cli.options import run
from dacse_cli.cli.options.networks import BatchOpt, DeviceOpt, DTypeOpt, Generation


def doctor(
    model: Annotated[str, typer.Option("--model", "-m", help="The model to try.")] = "nano",
    device: DeviceOpt = "auto",
    dtype: DTypeOpt = "auto",
    batch_size: BatchOpt = "auto",
    json: run.JsonOpt = False,
) -> None:
    """Show what this installation can do: versions, cache, device, memory, bandwidth, and a self-test.

    [bold]Examples[/]

    dacse doctor

    dacse doctor --model disco-eth/DAC-SE1 --device cuda
    """
    from dacse_cli.api.doctor import Finding, examine
    from dacse_cli.cli.render.results import printer
    from dacse_cli.cli.settings import describe
    from dacse_cli.cli.usage import with_options

    results = printer(json=json)

    def show(finding: Finding) -> None:
        finding = replace(finding, text=with_options(finding.text))
        results.finding(finding.name, finding.state, finding.text, asdict(finding))

    show(Finding("settings", "ok", describe(Path.cwd(), os.environ)))
    error = examine(Generation(model, None, device, dtype, batch_size).options(offline=True), show)
    if error is not None:
        raise typer.Exit(error.exit_code)
