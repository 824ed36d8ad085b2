"""Options from `dacse.toml` or `[tool.dacse]` of a pyproject.toml, and from variables `DACSE_*`.

The command line has priority, then the variable, then the file, then the default. Names are those of the
command line without the leading dashes: `batch-size = 8`, `DACSE_BATCH_SIZE=8`. A table `[enhance]` holds
settings for one command. Unknown settings are refused: a misspelt one would otherwise have no effect.

Typer's `envvar` and `auto_envvar_prefix` read variables too, but for one command at a time: they cannot
distinguish a misspelt variable from another command's, leave a variable out for commands that refuse its
value, or name the variable in the message on a bad value. So both sources fill click's `default_map` here.
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
"""Options that a file cannot set, because the file may have come with someone else's folder."""
PLACES = ("report", "output", "csv")
"""Options that name a place to write to; a file can set them only to places below its own folder."""
NO_OPTIONS = ("DACSE_CACHE",)
"""Variables of dacse that are not options."""

Options = Mapping[str, Mapping[str, str]]
"""Command -> option without its leading dashes -> name of its parameter."""
Values = dict[str, dict[str, Any]]
"""Command -> parameter -> value: click's `default_map`."""


def collect(options: Options, folder: Path, environment: Mapping[str, str]) -> Values:
    """Settings of every command from the file and the environment. Raises `UsageError` for unknown ones."""
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
    """`values` adapted to each command; `parameters` are click's, by command and name.

    A single value of an option that can be given several times becomes a list. A value that only some
    commands accept is left out for the others: `DACSE_FORMAT=flac` does not apply to `tokenize`.
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
    """All sources of settings and the options they set, in one line."""
    said = of_file(folder)
    variables = [name for name in sorted(environment) if name.startswith(PREFIX)]
    above = next((one for one in folder.absolute().parents if (one / FILE).is_file()), None)
    if not said and above is not None:
        variables.append(f"{above / FILE} is not read: settings come from the current folder only")
    return "; ".join([*([said] if said else []), *variables]) or "no settings file or variables"


def of_file(folder: Path) -> str:
    """The settings file in `folder` and the options it sets, in one line; empty if there are none."""
    where, table = read_file(folder)
    keys = [f"{command} {key}".strip() for command, key, _ in _entries(table)]
    return f"{where}: {', '.join(keys)}" if keys else ""


def nested(values: Values) -> dict[str, Any]:
    """`values` in the form of click: those of `train lm` are in `["train"]["lm"]`."""
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
        raise UsageError(f"{key} in {where}: --{name} works only on the command line")
    if name in PLACES and (Path(str(value)).is_absolute() or ".." in Path(str(value)).parts):
        hint = f"Use --{name} on the command line instead."
        raise UsageError(f"{key} in {where} is outside this folder: {quoted(value)}", hint=hint)


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
    return UsageError(f"{what} is not an option of any command", hint=hint)
