"""Options that are not typed: from `dacse.toml`, or `[tool.dacse]` of a pyproject.toml, and from `DACSE_*`.

What is typed wins, then the environment, then the file, then the default. Both name options as they are
typed, without the dashes in front: `batch-size = 8`, `DACSE_BATCH_SIZE=8`. A table `[enhance]` holds what is
meant for one command. What no command knows is refused, for a misspelt setting would otherwise do nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from dacse_cli.errors import UsageError, did_you_mean
from dacse_cli.files.documents import DocumentError, read_toml
from dacse_cli.files.names import quoted

FILE, PROJECT, PREFIX = "dacse.toml", "pyproject.toml", "DACSE_"
ONLY_TYPED = ("overwrite",)
"""Options that a file may not set: a folder of somebody else's may hold one."""
PLACES = ("report", "output", "csv")
"""Options that name a place to write to: from a file only below the folder that it lies in."""
NO_OPTIONS = ("DACSE_CACHE",)
"""Variables of dacse's own that stand for no option."""

Options = Mapping[str, Mapping[str, str]]
"""Command -> option as typed, without dashes in front -> name of its parameter."""
Values = dict[str, dict[str, Any]]
"""Command -> parameter -> value: click's `default_map`."""


def collect(options: Options, folder: Path, environment: Mapping[str, str]) -> Values:
    """What file and environment say to every command. Raises `UsageError` for what no command knows."""
    found: Values = {command: {} for command in options}
    where, table = read_file(folder)
    for command, key, value in _entries(table):
        if command and command not in options:
            raise _unknown(f"[{command}] in {where}", command, options)
        _refuse_unsafe(key, value, where)
        meant = {command: options[command]} if command else options
        _put(found, meant, key, value, f"{key} in {f'[{command}] of ' if command else ''}{where}")
    for variable, text in sorted(environment.items()):
        if variable.startswith(PREFIX) and variable not in NO_OPTIONS:
            _put(found, options, variable.removeprefix(PREFIX).lower(), text, f"the variable {variable}")
    return found


def fitted(values: Values, options: Options, parameters: Mapping[str, Mapping[str, Any]]) -> Values:
    """`values` as every command takes them; `parameters` are click's, by command and name.

    One value of an option that may be given several times is a list. A value that is no choice of one command
    but of another is meant for that one: `DACSE_FORMAT=flac` says nothing to `tokenize`.
    """
    found: Values = {command: dict(settings) for command, settings in values.items()}
    for option in {option for known in options.values() for option in known}:
        given = [
            (command, known[option], parameters[command][known[option]])
            for command, known in options.items()
            if option in known and known[option] in found[command]
        ]
        takers = [command for command, name, parameter in given if _takes(parameter, found[command][name])]
        for command, name, parameter in given:
            if takers and command not in takers:
                del found[command][name]
            elif parameter.multiple and not isinstance(found[command][name], list):
                found[command][name] = [found[command][name]]
    return found


def _takes(parameter: Any, value: Any) -> bool:
    choices = getattr(getattr(parameter, "type", None), "choices", None)
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)  # since Typer 0.26
    if choices is None and get_origin(annotation) is Literal:
        choices = get_args(annotation)
    return choices is None or value in [getattr(choice, "value", choice) for choice in choices]


def any_variable(environment: Mapping[str, str]) -> bool:
    """Whether a variable sets an option."""
    return any(name.startswith(PREFIX) and name not in NO_OPTIONS for name in environment)


def describe(folder: Path, environment: Mapping[str, str]) -> str:
    """Where settings come from, and of what, in one line."""
    said = of_file(folder)
    variables = [name for name in sorted(environment) if name.startswith(PREFIX)]
    above = next((one for one in folder.absolute().parents if (one / FILE).is_file()), None)
    if not said and above is not None:
        variables.append(f"{above / FILE} is not read: settings come from the current folder only")
    return "; ".join([*([said] if said else []), *variables]) or "none but what is typed"


def of_file(folder: Path) -> str:
    """The settings that a file in `folder` makes, in one line; empty where there are none."""
    where, table = read_file(folder)
    keys = [f"{command} {key}".strip() for command, key, _ in _entries(table)]
    return f"{where}: {', '.join(keys)}" if keys else ""


def nested(values: Values) -> dict[str, Any]:
    """`values` as click wants them: those of `train lm` below `lm` below `train`."""
    tree: dict[str, Any] = {}
    for command, settings in values.items():
        *groups, name = command.split()
        below = tree
        for group in groups:
            below = below.setdefault(group, {})
        below[name] = settings
    return tree


def _entries(table: Mapping[str, Any], command: str = "") -> Iterator[tuple[str, str, Any]]:
    """(command, key, value) of every setting; the table `[train.lm]` is for `train lm`."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _entries(value, f"{command} {key}".strip())
        else:
            yield command, key, value


def read_file(folder: Path) -> tuple[str, dict[str, Any]]:
    """Name and table of the settings file in `folder`; an empty table where there is none."""
    own, project = folder / FILE, folder / PROJECT
    if own.is_file():
        return FILE, _parse(own)
    if project.is_file():
        tool = _parse(project).get("tool")
        table = tool.get("dacse") if isinstance(tool, dict) else None
        return f"[tool.dacse] of {PROJECT}", table if isinstance(table, dict) else {}
    return FILE, {}


def _parse(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except DocumentError as error:
        raise UsageError(f"{path} {error}") from error


def _refuse_unsafe(key: str, value: Any, where: str) -> None:
    name = key.replace("_", "-")
    if name in ONLY_TYPED:
        raise UsageError(f"{key} in {where}: --{name} counts only where it is typed")
    if name in PLACES and (Path(str(value)).is_absolute() or ".." in Path(str(value)).parts):
        hint = f"Type --{name} instead."
        raise UsageError(f"{key} in {where} leads out of this folder: {quoted(value)}", hint=hint)


def _put(found: Values, options: Options, key: str, value: Any, what: str) -> None:
    """Set `key` for every command of `options` that has it."""
    name = key.replace("_", "-")
    commands = [command for command, known in options.items() if name in known]
    if not commands:
        raise _unknown(what, name, {name for known in options.values() for name in known})
    for command in commands:
        found[command][options[command][name]] = value


def _unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    hint = did_you_mean(name, known, "Options are named as in `dacse COMMAND --help`.")
    return UsageError(f"{what} is no option of any command", hint=hint)
