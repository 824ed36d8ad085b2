"""JSON, TOML and single numbers from outside, bounded before anything is computed from them.

A small file can hold an integer of a million digits, ten thousand nested lists or a number that is not one.
Python's parsers accept some of these and fail on others with errors of many kinds; here all of them end as
`DocumentError`. Says nothing about which keys a document must have.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from dataclasses import dataclass
from typing import Any

from dacse_cli.errors import ModelError
from dacse_cli.files.names import quoted
from dacse_cli.files.problems import reason
from dacse_cli.files.regular import read_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_INTEGER = re.compile(r"[+-]?[0-9]+")


class DocumentError(ValueError):
    """The message is a predicate, to follow the name of the document: `is not valid JSON`."""


@dataclass(frozen=True)
class Limits:
    """How much a document may hold."""

    size: int = 1 << 20
    """Bytes."""
    depth: int = 32
    """Nesting of lists and objects."""
    digits: int = 20
    """Digits of an integer."""
    text: int = 1 << 16
    """Characters of a string or a key."""


def read_json(path: str | os.PathLike[str], limits: Limits | None = None) -> Any:
    """The JSON document in a regular file. Raises `FileNotFoundError`, and `DocumentError` for all else."""
    return parse_json(_read(path, limits or Limits()), limits)


def read_config(path: str | os.PathLike[str], wrong: type[ModelError]) -> dict[str, Any]:
    """The JSON object in a model's file. Raises `wrong` with the path: missing, damaged, no object."""
    try:
        value = read_json(path)
    except FileNotFoundError as error:
        raise wrong(f"{path} cannot be read: no such file") from error
    except DocumentError as error:
        raise wrong(f"{path} {error}: the file is damaged or not a model's") from error
    if not isinstance(value, dict):
        raise wrong(f"{path} holds a {type(value).__name__}, not a JSON object")
    return value


def read_toml(path: str | os.PathLike[str], limits: Limits | None = None) -> dict[str, Any]:
    """The TOML document in a regular file. Raises `FileNotFoundError`, and `DocumentError` for all else."""
    return parse_toml(_read(path, limits or Limits()), limits)


def parse_json(data: bytes | str, limits: Limits | None = None) -> Any:
    """The JSON document in `data`. Raises `DocumentError`."""
    limits = limits or Limits()
    _check_size(len(data), limits)
    try:
        found = json.loads(
            data,
            parse_int=lambda text: _integer(text, limits),
            parse_float=_finite,
            parse_constant=_finite,
        )
    except DocumentError:
        raise
    except (ValueError, RecursionError) as error:
        raise DocumentError("is not valid JSON") from error
    _check(found, limits)
    return found


def parse_toml(data: bytes | str, limits: Limits | None = None) -> dict[str, Any]:
    """The TOML document in `data`. Raises `DocumentError`, which says where the syntax is wrong."""
    limits = limits or Limits()
    _check_size(len(data), limits)
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        found = tomllib.loads(text, parse_float=_finite)
    except DocumentError:
        raise
    except RecursionError as error:
        raise DocumentError(f"nests deeper than {limits.depth} levels") from error
    except ValueError as error:
        raise DocumentError(f"is not valid TOML: {quoted(error)}") from error
    _check(found, limits)
    return found


def whole_number(value: object, low: int, high: int) -> int:
    """`value`, an int or its decimal text, where it lies within `low` and `high`. Raises `DocumentError`."""
    if isinstance(value, str) and len(value) <= 20 and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise DocumentError(f"must be a whole number, not {quoted(value)}")
    if not low <= value <= high:
        raise DocumentError(f"must lie between {low} and {high}, not {quoted(value)}")
    return value


def finite_number(value: object, low: float, high: float) -> float:
    """`value`, an int or float, where it lies within `low` and `high`. Raises `DocumentError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DocumentError(f"must be a number, not {quoted(value)}")
    if not low <= value <= high:  # also false for NaN
        raise DocumentError(f"must lie between {low:g} and {high:g}, not {quoted(value)}")
    return float(value)


def _read(path: str | os.PathLike[str], limits: Limits) -> bytes:
    try:
        return read_bytes(path, limits.size)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DocumentError(f"cannot be read: {reason(error)}") from error


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.size:
        raise DocumentError(f"is far too large: more than {limits.size / 1e6:,.1f} MB")


def _integer(text: str, limits: Limits) -> int:
    if len(text) > limits.digits:
        raise DocumentError(f"holds a number of {len(text):,} digits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text) if len(text) <= 400 else math.inf
    if not math.isfinite(number):
        raise DocumentError(f"holds a number that is not finite: {quoted(text)}")
    return number


def _check(document: Any, limits: Limits) -> None:
    """Check the limits that parsers do not enforce: depth, strings, and the integers of TOML."""
    level: list[Any] = [document]
    for _ in range(limits.depth + 1):
        for value in level:
            _check_value(value, limits)
        inner = [v for v in level if isinstance(v, (dict, list))]
        if not inner:
            return
        level = [v for outer in inner for v in (outer.values() if isinstance(outer, dict) else outer)]
    raise DocumentError(f"nests deeper than {limits.depth} levels")


def _check_value(value: Any, limits: Limits) -> None:
    if isinstance(value, str):
        _check_text(value, limits)
    elif isinstance(value, dict):
        for key in value:
            _check_text(key, limits)
    elif isinstance(value, int) and abs(value) >= 10**limits.digits:
        raise DocumentError(f"holds a number of more than {limits.digits} digits")


def _check_text(text: str, limits: Limits) -> None:
    if len(text) > limits.text:
        raise DocumentError(f"holds a text of {len(text):,} characters")
