"""Which of the paths of `dacse enhance` are inputs, and where the output goes where nobody says so."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from dacse_cli.audio.formats import suffix_for
from dacse_cli.cli.pipes import PIPE
from dacse_cli.errors import UsageError
from dacse_cli.store.urls import is_url
from dacse_cli.tokens.files import has_token_suffix, token_stem

BESIDE = "{stem}.enhanced.{ext}"
_FIELDS = ("stem", "ext")


def split(paths: Sequence[str], output: str | None, form: str) -> tuple[list[str], str]:
    """Inputs and output. Raises `UsageError` where the output cannot be guessed."""
    if output is None and len(paths) > 1:
        *inputs, output = paths
    else:
        inputs = list(paths)
    if output is None:
        output = PIPE if inputs == [PIPE] else str(Path(inputs[0]).parent / BESIDE)
        if inputs != [PIPE] and not Path(inputs[0]).is_file():
            raise _no_output(inputs[0])
    if "{" in output:
        return inputs, _filled(inputs, output, form)
    return inputs, output


def _filled(inputs: Sequence[str], pattern: str, form: str) -> str:
    """A pattern with its fields filled in from the one input file."""
    source = Path(inputs[0])
    if len(inputs) != 1 or not source.is_file():
        raise UsageError(
            f"{pattern} names the output of one file", hint="For several inputs, name a folder as output."
        )
    folder, _, name = pattern.rpartition("/")
    unknown = set(re.findall(r"\{(.*?)\}", name)) - set(_FIELDS)
    if unknown or name.count("{") != name.count("}"):
        raise UsageError(f"{pattern}: a pattern knows {{stem}} and {{ext}}")
    suffix = suffix_for(form, source.suffix)
    if has_token_suffix(source.name) and form == "keep":
        suffix = ".safetensors"
    stem = token_stem(source.name) if has_token_suffix(source.name) else source.stem
    filled = name.replace("{stem}", stem).replace("{ext}", suffix.removeprefix("."))
    return str(Path(folder or ".") / filled)


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
