"""Which of the paths of `dacse enhance` are inputs, and where the output goes where nobody says so."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from dacse_cli.cli.batch.pipes import PIPE
from dacse_cli.errors import UsageError
from dacse_cli.store.urls import is_url

BESIDE = "{stem}.enhanced.{ext}"


def split(paths: Sequence[str], output: str | None) -> tuple[list[str], str]:
    """Inputs and output. Raises `UsageError` where the output cannot be guessed."""
    if output is None and len(paths) > 1:
        *inputs, output = paths
    else:
        inputs = list(paths)
    if output is None:
        output = PIPE if inputs == [PIPE] else str(Path(inputs[0]).parent / BESIDE)
        if inputs != [PIPE] and not Path(inputs[0]).is_file():
            raise _no_output(inputs[0])
    return inputs, output


def _no_output(path: str) -> UsageError:
    if Path(path).is_dir():
        return UsageError(
            f"{path} is a folder: say where its enhanced files go", hint=f"dacse enhance {path} OUTPUT"
        )
    if is_url(path) or any(sign in path for sign in "*?["):
        return UsageError(
            f"{path}: say where the enhanced files go", hint=f"dacse enhance {shlex.quote(path)} OUTPUT"
        )
    return UsageError(f"{path}: no such file")
