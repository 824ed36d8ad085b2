"""Which paths of `dacse enhance` are inputs, which is the output, and where it is by default."""

from __future__ import annotations

import os
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
        if len(inputs) == 1 and inputs != [PIPE]:
            _refuse_recording(inputs[0], output)
    else:
        inputs = list(paths)
    if output is None:
        output = PIPE if inputs == [PIPE] else str(Path(inputs[0]).parent / BESIDE)
        if inputs != [PIPE] and not Path(inputs[0]).is_file():
            raise _no_output(inputs[0])
    return inputs, output


def _refuse_recording(source: str, output: str) -> None:
    """Raise `UsageError` where the last of two paths is a recording that dacse has not made."""
    from dacse_cli.pipeline.record.beside import is_ours
    from dacse_cli.pipeline.request.naming import is_audio_name

    # os.path.isfile also accepts names that no disk can hold; the same file twice is refused elsewhere
    there = is_audio_name(output) and os.path.isfile(output)  # noqa: PTH113
    twice = there and os.path.exists(source) and Path(source).samefile(output)  # noqa: PTH110
    if there and not twice and not is_ours(Path(output)):
        raise UsageError(
            f"{output} is a recording that dacse has not made: is it an input or the output?",
            hint=f"For two inputs, give a folder with -o. To write to {output}, give it with -o.",
        )


def _no_output(path: str) -> UsageError:
    if Path(path).is_dir():
        return UsageError(
            f"{path} is a folder: name a folder for its enhanced files",
            hint=f"For example: dacse enhance {path} OUTPUT",
        )
    if is_url(path) or any(sign in path for sign in "*?["):
        return UsageError(
            f"{path}: name a folder for the enhanced files",
            hint=f"For example: dacse enhance {shlex.quote(path)} OUTPUT",
        )
    return UsageError(f"{path}: no such file")
