"""Frozen dataclasses <-> JSON values, by their type hints. Values that do not fit raise `CodingError`.

Types: dataclasses, `str`, `int`, `float`, `bool`, `None`, `Path`, enums, tuples, and unions of these.
"""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


class CodingError(ValueError):
    """A JSON value that is not of the type it should be."""


def to_json(value: object) -> Any:
    """`value` as JSON-able values; a dataclass becomes an object with one key per field."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_json(kind: type[T], data: object) -> T:
    """Inverse of `to_json`. Raises `CodingError`."""
    return cast(T, _read(kind, data))


def _read(kind: Any, data: Any) -> Any:
    if is_dataclass(kind):
        return _read_object(kind, data)
    if get_origin(kind) in (Union, types.UnionType):
        return _read_union(get_args(kind), data)
    if kind is tuple or get_origin(kind) is tuple:
        return _read_tuple(get_args(kind), data)
    if kind is float and type(data) in (int, float):
        return float(data)
    if kind is Path and isinstance(data, str):
        return Path(data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError:
            raise CodingError(f"{data!r:.80} is not a {kind.__name__}") from None
    if kind is type(None) and data is None:
        return None
    if kind in (str, int, bool) and type(data) is kind:
        return data
    raise CodingError(f"{data!r:.80} is not of type {getattr(kind, '__name__', kind)}")


def _read_object(kind: Any, data: Any) -> Any:
    hints = _hints(kind)
    if not isinstance(data, dict):
        raise CodingError(f"{data!r:.80} is not a {kind.__name__}")
    if unknown := sorted(data.keys() - hints.keys()):
        raise CodingError(f"{kind.__name__} has no {', '.join(map(str, unknown[:3]))}")
    if missing := sorted(_required(kind) - data.keys()):
        raise CodingError(f"{kind.__name__} lacks {', '.join(missing[:3])}")
    return kind(**{name: _read(hints[name], value) for name, value in data.items()})


def _read_union(kinds: tuple[Any, ...], data: Any) -> Any:
    problems = []
    for kind in kinds:
        try:
            return _read(kind, data)
        except CodingError as error:
            problems.append(str(error))
    raise CodingError("; ".join(problems))


def _read_tuple(kinds: tuple[Any, ...], data: Any) -> Any:
    if not isinstance(data, list):
        raise CodingError(f"{data!r:.80} is not a list")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_read(kinds[0], item) for item in data)
    if len(kinds) != len(data):
        raise CodingError(f"{len(data)} values where {len(kinds)} are expected")
    return tuple(_read(kind, item) for kind, item in zip(kinds, data, strict=True))


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


@cache
def _required(kind: type) -> frozenset[str]:
    """Names of fields without a default."""
    given = (field for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING)
    return frozenset(field.name for field in given)
