"""`dacse inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dacse_cli.cli.options import run


def inspect(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Audio or token files.")],
    json: run.JsonOpt = False,
) -> None:
    """Show what a file holds: format, length, level, silent or equal channels, damage; or codes and codec.

    [bold]Examples[/]

    dacse inspect talk.wav

    dacse inspect talk.tokens.safetensors --json
    """
    from dacse_cli.api.inspect import inspect as look
    from dacse_cli.cli.render.results import printer
    from dacse_cli.errors import InputError, UsageError

    results = printer(json=json)
    if folder := next(filter(Path.is_dir, files), None):
        raise UsageError(
            f"{folder} is a folder: name files", hint=f"For example: dacse inspect {folder}/*.wav"
        )
    bad = []
    for path in files:
        try:
            results.facts(str(path), look(path))
        except InputError as error:
            bad.append(f"{path}: {error.message}")
    if bad:
        raise InputError("; ".join(bad), reason="bad")
