"""A recipe file, TOML, as frozen dataclasses; for any recipe.

The dataclass is the schema: an unknown key or a value of another type is an error that names its position.
Tables are nested dataclasses or dicts of one type, arrays of tables tuples of dataclasses. Imports no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from dacse_cli.errors import UsageError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Recipe = TypeVar("Recipe")
Table = dict[str, Any]


def read_recipe(kind: type[Recipe], path: Path | None, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in `path` (None: all defaults), `overrides` (`table.key=value`) applied to it.

    A key of an array of tables is set in all of them: `stage.rate=1e-4`. Raises `UsageError`.
    """
    table = _parsed(path) if path else {}
    for text in overrides:
        _override(kind, table, text)
    recipe = cast(Recipe, _build(kind, table, ""))
    problems = _problems(recipe, "")
    if problems:
        raise UsageError("; ".join(problems))
    return recipe


def _parsed(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error


def _override(kind: type[Any], table: Table, text: str) -> None:
    name, equals, value = text.partition("=")
    place, *inner = name.strip().split(".")
    hints = get_type_hints(kind)
    if not equals or not inner or place not in hints:
        raise UsageError(
            f"the setting {text}: give table.key=value", hint=f"The tables are {', '.join(hints)}."
        )
    repeated = get_origin(hints[place]) is tuple
    targets = table.setdefault(place, [{}] if repeated else {})
    for target in targets if repeated else [targets]:
        for key in inner[:-1]:
            target = target.setdefault(key, {})
        target[inner[-1]] = _value(value.strip())


def _value(text: str) -> Any:
    """`text` parsed as TOML; other text is taken as a string, so words need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _build(kind: type[Any], table: Any, place: str) -> Any:
    if not isinstance(table, dict):
        raise UsageError(f"recipe: {place} must be a table")
    hints = get_type_hints(kind)
    unknown = sorted(table.keys() - hints.keys())
    if unknown:
        where = f"{place}." if place else ""
        raise UsageError(
            f"recipe: unknown {', '.join(where + key for key in unknown)}",
            hint=did_you_mean(unknown[0], hints, f"Known there: {', '.join(hints)}."),
        )
    values = {key: _converted(hints[key], value, f"{place}.{key}".strip(".")) for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:  # a field without a default is missing
        raise UsageError(f"recipe: {place or 'it'} is incomplete: {error}") from error


def _converted(hint: Any, value: Any, place: str) -> Any:
    if is_dataclass(hint):
        return _build(cast(type[Any], hint), value, place)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise UsageError(f"recipe: {place} must be a list")
        (inner, _) = get_args(hint)
        return tuple(_converted(inner, item, place) for item in value)
    if get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise UsageError(f"recipe: {place} must be a table")
        (_, inner) = get_args(hint)
        return {key: _converted(inner, item, f"{place}.{key}") for key, item in value.items()}
    allowed = get_args(hint) or (hint,)
    if float in allowed and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not any(type(value) is kind for kind in allowed):
        names = " or ".join(kind.__name__ for kind in allowed if kind is not type(None))
        raise UsageError(f"recipe: {place} = {value!r} is not {names}")
    return value


def _problems(recipe: Any, place: str) -> list[str]:
    """The results of all dataclasses' `problems()`, inner ones first."""
    found: list[str] = []
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        inner: Sequence[Any] = value if isinstance(value, tuple) else (value,)
        for part in inner:
            if is_dataclass(part):
                found += _problems(part, f"{place}{field.name}.")
    own = getattr(recipe, "problems", None)
    return found + [f"{place}{problem}" for problem in (own() if own else ())]
