"""Numbers that callers of the library pass in: of any type, made Python's own, and checked.

numpy and torch are not imported: their scalars are recognised by what they can do.
"""

from __future__ import annotations

import math
import numbers
from typing import Any, TypeGuard


def plain(value: Any) -> Any:
    """A number of any type (numpy's, torch's, a fraction) as `int` or `float`; anything else as it is."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def plain_whole(value: Any) -> Any:
    """The same, and a `float` without a fractional part as `int`."""
    value = plain(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_number(value: object, least: float = -math.inf, most: float = math.inf) -> TypeGuard[float]:
    """Whether `value` is a finite `int` or `float` from `least` to `most`; True and False are no numbers."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return -math.inf < value < math.inf and least <= value <= most  # false for NaN


def is_whole(value: object, least: float = -math.inf, most: float = math.inf) -> TypeGuard[int]:
    """Whether `value` is an `int` from `least` to `most`; True and False are no numbers."""
    return isinstance(value, int) and is_number(value, least, most)
