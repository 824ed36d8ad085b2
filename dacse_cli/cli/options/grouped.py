"""A decorator for commands that take their options in groups; independent of the options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """`command` as Typer reads it: a parameter whose type is a dataclass is replaced by that class's fields.

    The fields are annotated like a command's parameters; `command` is called with an instance of the class.
    """
    groups = {name: kind for name, kind in get_type_hints(command).items() if _is_group(kind)}

    @wraps(command)
    def flat(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    parameters = list(_flattened(command, command))
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and is_dataclass(kind)


def _flattened(called: Callable[..., Any], annotated: Any) -> Iterator[inspect.Parameter]:
    """Parameters of `called`, with the annotations of `annotated`; groups are replaced by their fields."""
    hints = get_type_hints(annotated, include_extras=True)
    for name, parameter in inspect.signature(called).parameters.items():
        if _is_group(hints[name]):
            yield from _flattened(hints[name], hints[name])
        else:
            yield parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
