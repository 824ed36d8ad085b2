"""Tensors as described by a file's header, checked against what a network needs before any is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from dacse_cli.errors import ModelError

Shape: TypeAlias = tuple[int, ...]
FLOATS = ("F32", "F16", "BF16")
"""Types that weights may have, by the names of safetensors."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file. `dtype` as safetensors names it (`F32`, `BF16`, ...)."""

    file: Path
    dtype: str
    shape: Shape


class HasShape(Protocol):
    """A header's entry: anything with a type and a shape."""

    @property
    def dtype(self) -> str:
        """Type, as safetensors names it."""

    @property
    def shape(self) -> Shape:
        """Sizes of all axes."""


def check_floats(found: Mapping[str, HasShape], failure: type[ModelError]) -> None:
    """Raise `failure` for a tensor whose type is not float32, float16 or bfloat16."""
    for name, tensor in found.items():
        if tensor.dtype not in FLOATS:
            raise failure(f"weights: {name:.200} is {tensor.dtype}, not one of {', '.join(FLOATS)}")


def check_shapes(
    found: Mapping[str, Shape],
    expected: Mapping[str, Shape],
    failure: type[ModelError],
    optional: Mapping[str, Shape] | None = None,
) -> None:
    """Raise `failure` unless `found` has all names and shapes of `expected`, and no others but `optional`."""
    allowed = {**(optional or {}), **expected}
    missing, extra = expected.keys() - found.keys(), found.keys() - allowed.keys()
    wrong = [
        f"{name} is {list(found[name])}, not {list(allowed[name])}"
        for name in sorted(allowed.keys() & found.keys())
        if found[name] != tuple(allowed[name])
    ]
    problems = [
        f"{kind} {_first(names)}"
        for kind, names in (("lacks", missing), ("has unexpected", extra), ("has", wrong))
        if names
    ]
    if problems:
        raise failure(f"the weights do not fit config.json: the file {'; it '.join(problems)}")


def _first(names: Iterable[str], count: int = 3) -> str:
    names = sorted(names)
    shown = ", ".join(name[:200] for name in names[:count])
    return shown + (f" and {len(names) - count} more" if len(names) > count else "")
