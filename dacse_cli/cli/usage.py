"""Usage errors of click and Typer in our wording; library arguments in messages shown as options."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import typer

from dacse_cli.errors import did_you_mean

CLICK_ERROR: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""Base class of errors about the command line; newer versions of Typer contain their own click."""


_VALIDATOR = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"Input should be a valid integer.*"), "not a whole number"),
    (re.compile(r"Input should be a valid number.*"), "not a number"),
    (re.compile(r"Input should be greater than or equal to "), "must be at least "),
    (re.compile(r"Input should be less than or equal to "), "must be at most "),
)
"""Messages of the library that validates values -> our wording."""


_CHOICE = re.compile(r"'(?P<word>[^']*)' is not one of (?P<known>'.*')")
"""A value that is not one of an option's choices."""


_ARGUMENT = re.compile(r"(?<![`\w])`([a-z_]+(?:\.[a-z_.]+)?)(?:=([^`]+))?`(?![`\w])")
"""An argument of the library in a message, with or without a value, or a setting of a recipe."""
_OPTIONS = {
    "codes_format": "--format",
    "filters": "--filter",
    "longest": "--max-seconds",
    "splits": "--split",
    "start": "--from",
}
"""Argument -> option, where the names differ."""


def with_options(text: str) -> str:
    """A message of the library for users of the command line: options in place of arguments.

    `batch_size` becomes --batch-size and `format="wav"` becomes --format wav. A setting of a recipe, such as
    `model.units="codes"`, becomes --set model.units=codes.
    """
    return _ARGUMENT.sub(_option, text)


def _option(argument: re.Match[str]) -> str:
    name, value = argument[1], (argument[2] or "").strip("\"'")
    if "." in name:
        return f"--set {name}={value}" if value else f"--set {name}"
    if (name, value) == ("clean", "None"):
        return "--no-reference"
    option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
    return f"{option} {value}" if value else option


def lines(error: Any) -> list[str]:
    """The lines that `main` prints: the help of a command without arguments, else a message and a hint."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return str(error.ctx.get_help()).splitlines()
    return [f"dacse: {wording(error)}", f"  {hint(error)}"]


def wording(error: Any) -> str:
    """The message: one line, without a full stop."""
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    if type(error).__name__ == "MissingParameter" and context is not None and parameter is not None:
        if parameter.param_type_name == "argument":
            pieces = [
                piece for piece in context.command.collect_usage_pieces(context) if piece != "[OPTIONS]"
            ]
            return f"{_command(context)} needs {' '.join(pieces)}"
        return f"{_command(context)} needs {parameter.opts[-1]}"
    text = str(error.format_message()).rstrip(".")
    for pattern, words in _VALIDATOR:
        text = pattern.sub(words, text)
    return text[:1].lower() + text[1:]


def hint(error: Any) -> str:
    """What to do next."""
    context = getattr(error, "ctx", None)
    named = [word for word in sys.argv[1:] if word.startswith("-") and Path(word).exists()]
    if type(error).__name__ == "NoSuchOption" and named:
        return f"For a file whose name begins with -, write ./{named[0]}."
    see = f"See `{context.command_path if context is not None else 'dacse'} --help`."
    if choice := _CHOICE.search(str(error.format_message())):
        return did_you_mean(choice["word"], re.findall(r"'(.*?)'", choice["known"]), see) or see
    return see


def _command(context: Any) -> str:
    """The command without `dacse`, because every message begins with it already."""
    return str(context.command_path).removeprefix("dacse ")
