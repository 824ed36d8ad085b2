"""The commands' reference, read from the functions behind them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo

from dacse_cli.cli.app import app


def commands() -> str:
    """The reference: what `--help` knows of every command, as Markdown."""
    parts = [
        "# Commands",
        "",
        "Written by `examples/docs/generate.py` from what `dacse COMMAND --help-all` shows.",
        "`--help` explains the usual options only.",
        "",
        "| command | does |",
        "|---|---|",
        *(f"| [{name}](#dacse-{name.replace(' ', '-')}) | {short} |" for name, short, _ in _functions()),
        "",
    ]
    for name, _, function in _functions():
        parts += [f"## dacse {name}", "", *_command(name, function)]
    return "\n".join(parts).rstrip() + "\n"


def _functions(group: Any = None, above: str = "") -> Iterator[tuple[str, str, Any]]:
    """(name as typed, a line about it, function) of every command, those of groups after the others."""
    below = (group or typer.main.get_command(app)).commands
    for name, command in below.items():
        if not hasattr(command, "commands"):
            yield f"{above}{name}", command.short_help, command.callback.__wrapped__
    for name, inner in below.items():
        if hasattr(inner, "commands"):
            yield from _functions(inner, f"{above}{name} ")


@dataclass(frozen=True)
class Parameter:
    """One argument or option of a command's function."""

    name: str
    kind: Any
    """Its annotation without typer's part."""
    info: Any
    """`ArgumentInfo` or `OptionInfo`."""
    default: Any

    @property
    def is_argument(self) -> bool:
        return isinstance(self.info, ArgumentInfo)

    @property
    def metavar(self) -> str:
        return str(self.info.metavar or self.name.upper())


def _parameters(function: Any) -> list[Parameter]:
    hints = get_type_hints(function, include_extras=True)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        kind, info = get_args(hints[name])[:2]
        found.append(Parameter(name, kind, info, parameter.default))
    return found


def _command(name: str, function: Any) -> Iterator[str]:
    parameters = _parameters(function)
    arguments = [p for p in parameters if p.is_argument]
    words = [name, *(p.metavar for p in arguments)]
    yield f"```\ndacse {' '.join(words)} [OPTIONS]\n```"
    text, _, examples = (inspect.getdoc(function) or "").partition("[bold]Examples[/]")
    yield f"\n{_markdown(text)}\n"
    yield "```sh\n" + "\n".join(line.strip() for line in examples.splitlines() if line.strip()) + "\n```\n"
    for heading, listed in (
        ("Argument", arguments),
        ("Option", [p for p in parameters if not p.is_argument]),
    ):
        if listed:
            yield f"| {heading} | | Default |\n|---|---|---|"
            yield from (_row(parameter) for parameter in listed)
            yield ""


def _row(parameter: Parameter) -> str:
    words = [parameter.metavar] if parameter.is_argument else _spellings(parameter.info)
    kinds = (parameter.kind, *get_args(parameter.kind))
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    shown = ", ".join(f"`{word}`" for word in words)
    if choices:
        shown += " " + " ".join(f"`{choice}`" for choice in choices)
    cells = (shown, _markdown(parameter.info.help or ""), _default(parameter))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _spellings(info: Any) -> list[str]:
    """`--long`, `-s`: inside an annotation typer keeps the first as if it were a default."""
    return [word for word in (info.default, *info.param_decls) if isinstance(word, str)]


def _default(parameter: Parameter) -> str:
    if isinstance(parameter.info.show_default, str):
        return parameter.info.show_default
    if parameter.default is inspect.Parameter.empty:
        return "needed"
    value = parameter.default
    return "" if value is None or isinstance(value, bool) else f"`{value}`"


def _markdown(text: str) -> str:
    """Rich's markup -> Markdown, one paragraph a line."""
    text = re.sub(r"\[cyan\](.*?)\[/\]", r"`\1`", text.replace("\\[", "\x00"))
    text = re.sub(r"\[bold\](.*?)\[/\]", r"**\1**", text).replace("\x00", "[")
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip())
