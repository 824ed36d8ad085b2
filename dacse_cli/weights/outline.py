"""Networks built without numbers, to say which tensors a file must hold and to be filled from it.

torch draws normal numbers on its meta device through the compiler, whose import takes 1.4 s
of every start, so nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DRAWN = {"normal_", "trunc_normal_"}


class _Undrawn(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWN:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


@contextmanager
def outline() -> Iterator[None]:
    """Inside, modules get parameters and buffers of their shapes on the meta device."""
    with torch.device("meta"), _Undrawn():
        yield
