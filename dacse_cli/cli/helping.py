"""Formats `--help` and `--help-all` of every command; independent of the commands.

Plain text: no boxes, no colour, bold headings on a terminal only. `--help` leaves out rarely needed options.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

ALL = "--help-all"
FEW = 11
"""A command with at most this many options shows all of them in its short help."""
COMMON = ("--model", "--output", "--device", "--strength", "--preset", "--mix", "--format", "--loudness",
          "--report", "--overwrite", "--dry-run", "--noise", "--noisy", "--no-reference", "--metrics", "--by",
          "--csv", "--recipe", "--set", "--from", "--size", "--until", "--count", "--split", "--seed",
          "--every", "--settled", "--port", "--host", "--open", "--jobs")  # fmt: skip
"""Options that the short help of any other command shows."""
_SHELL = ("--install-completion", "--show-completion")
_MOST_EXAMPLES = 2
_WIDEST, _LEFT = 100, 26
_MARKUP = re.compile(r"(?<!\\)\[/?[a-z ]*\]")
_TYPE = re.compile(r" <([^>]*)>$")
_TYPES = {"str": "TEXT", "list[str]": "TEXT", "path": "PATH", "int": "N", "int range": "N", "float": "X",
          "float range": "X", "bool": ""}  # fmt: skip


class _Help:
    """Shared by commands and groups of commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as click does, but handle `--help-all` first."""
        if ALL in _own(args, group=hasattr(self, "commands")):
            typer.echo(page(self, ctx, everything=True), nl=False)
            ctx.exit()
        parsed: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        return parsed

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The short help."""
        formatter.write(page(self, ctx, everything=False))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """`[OPTIONS] INPUT... OUTPUT`."""
        arguments = [_argument(p) for p in _arguments(self, ctx)]
        return ["[OPTIONS]", *arguments, *(["COMMAND"] if hasattr(self, "commands") else [])]


class Command(_Help, TyperCommand):
    """A command."""


class Group(_Help, TyperGroup):
    """A command with commands below it."""


def _own(args: list[str], *, group: bool) -> list[str]:
    """The arguments of this command itself: those before `--` and, for a group, before the subcommand."""
    return list(takewhile(lambda word: word != "--" and (not group or word.startswith("-")), args))


def page(command: Any, ctx: Any, *, everything: bool) -> str:
    """The help of a command, ending in a line break."""
    width = min(_WIDEST, shutil.get_terminal_size((80, 24)).columns)
    paragraphs, examples = _prose(command.help or "")
    lines = 0 if everything else 1
    parts = [[f"{_head('Usage:')} {ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}"]]
    for paragraph in paragraphs if everything else paragraphs[:1]:
        parts.append(_wrapped(paragraph, width))
    if examples:
        short = [line for line in examples if len(line) + 2 <= width] or examples
        shown = examples if everything else short[:_MOST_EXAMPLES]
        parts.append([_head("Examples:"), *(line for one in shown for line in _example(one, width))])
    arguments = [(_argument(p), _plain(p.help or "")) for p in _arguments(command, ctx)]
    if arguments and not everything:
        arguments = [_in_short(*one) for one in arguments]
    if arguments:
        parts.append([_head("Arguments:"), *_columns(arguments, width, lines)])
    if hasattr(command, "commands"):
        parts += _commands(command, ctx, width, lines)
    parts += _options(command, ctx, width, everything)
    if everything and command.epilog:
        parts += [_wrapped(_plain(one), width) for one in command.epilog.split("\n\n")]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _prose(text: str) -> tuple[list[str], list[str]]:
    """Paragraphs without their line breaks, and the lines of the examples."""
    prose, _, examples = inspect.cleandoc(text).partition("[bold]Examples[/]")
    paragraphs = [" ".join(_plain(part).split()) for part in prose.split("\n\n") if part.strip()]
    return paragraphs, [_plain(line).strip() for line in examples.split("\n") if line.strip()]


def _example(line: str, width: int) -> list[str]:
    """An example, wrapped with backslashes as in a shell."""
    indents = {"initial_indent": "  ", "subsequent_indent": "    ", "break_long_words": False}
    pieces = _wrapped(line, width - 4, **indents) if len(line) + 2 > width else [f"  {line}"]
    return [*(f"{piece} \\" for piece in pieces[:-1]), pieces[-1]]


def _wrapped(text: str, width: int, **how: Any) -> list[str]:
    """Lines of `text`; never cut at a hyphen, so that names such as disco-eth/DAC-SE1 can be copied."""
    return textwrap.wrap(text, width, break_on_hyphens=False, **how)


def _plain(text: str) -> str:
    return _MARKUP.sub("", text).replace("\\[", "[")


def _head(text: str) -> str:
    return text if "NO_COLOR" in os.environ or not sys.stdout.isatty() else typer.style(text, bold=True)


def _arguments(command: Any, ctx: Any) -> list[Any]:
    return [p for p in command.get_params(ctx) if p.param_type_name == "argument"]


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    many = parameter.nargs != 1 and "..." not in name
    name += "..." if many else ""
    return name if parameter.required or name.startswith("[") else f"[{name}]"


def _commands(group: Any, ctx: Any, width: int, lines: int) -> Iterator[list[str]]:
    """Commands grouped by panel, in the order in which panels first appear."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for name in group.list_commands(ctx):
        below = group.get_command(ctx, name)
        summary = (lines and below.short_help) or (_prose(below.help)[0][0] if below.help else "")
        panel = getattr(below, "rich_help_panel", None)
        panels.setdefault(panel if isinstance(panel, str) else "Commands", []).append((name, summary))
    for panel, rows in panels.items():
        yield [_head(f"{panel}:"), *_columns(rows, width, lines)]


def _options(command: Any, ctx: Any, width: int, everything: bool) -> Iterator[list[str]]:
    """Options grouped by panel; without `everything` only the common ones, in one list."""
    options = [p for p in command.get_params(ctx) if p.param_type_name == "option" and not p.hidden]
    chosen = [p for p in options if not {"--help", *_SHELL} & set(p.opts)]
    if everything:
        panels: dict[str, list[Any]] = {}
        for option in options:
            panels.setdefault(getattr(option, "rich_help_panel", None) or "Options", []).append(option)
        for panel, own in panels.items():
            yield [_head(f"{panel}:"), *_columns([_row(option, ctx) for option in own], width)]
        return
    if len(chosen) > FEW:
        chosen = [p for p in chosen if any(name in COMMON for name in p.opts)]
    if chosen:
        yield [_head("Options:"), *_columns([_in_short(*_row(option, ctx)) for option in chosen], width, 1)]
    yield [f"All options and what they mean: {ctx.command_path} {ALL}"]


def _row(option: Any, ctx: Any) -> tuple[str, str]:
    """`-m, --model TEXT` and the help with the default."""
    left, right = option.get_help_record(ctx)
    kind = _TYPE.search(left)
    if kind is not None:
        left = f"{left[: kind.start()]} {_TYPES.get(kind.group(1), kind.group(1))}".rstrip()
    return left, re.sub(r"\[default: \((.*?)\)(?=[\];])", r"[default: \1", _plain(right))


def _in_short(left: str, right: str) -> tuple[str, str]:
    """The first sentence of the help and the default; for an option with many choices, those instead."""
    default = re.search(r"\[default: ([^\];]{1,22})[\];]", right)
    said = re.split(r"(?<=[\w)])[.;] |  \[|\.$", right)[0]
    if " / --no-" in left and len(left) > _LEFT:
        left = f"--[no-]{left.partition(' / --no-')[2]}"
    elif len(left) > _LEFT:
        left, _, said = left.rpartition(" ")
    return left, f"{said} [{default.group(1)}]" if default else said


def _columns(rows: Sequence[tuple[str, str]], width: int, most: int = 0) -> list[str]:
    """Two columns; a first cell that is too long gets its own line. `most`: lines per row."""
    left = min(_LEFT, max(len(first) for first, _ in rows))
    lines = []
    for first, second in rows:
        text = _wrapped(second, width - left - 4, max_lines=most or None, placeholder=" ...") or [""]
        if len(first) > left:
            lines.append(f"  {first}")
            first = ""
        lines += [f"  {first if n == 0 else '':<{left}}  {line}".rstrip() for n, line in enumerate(text)]
    return lines
