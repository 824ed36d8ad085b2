"""Networks built without values: they define which tensors a file must hold, and are then filled from it.

Any computation on torch's meta device, such as random numbers or divisions, imports torch's compiler, which
adds 1.4 to 2 s to every start. So no random numbers are drawn here, and networks that are built here compute
nothing in their constructors: they take random parameters from `drawn`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
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


def drawn(*shape: int, std: float) -> nn.Parameter:
    """A parameter of normal random numbers with standard deviation `std`; inside `outline` without values."""
    return nn.Parameter(nn.init.normal_(torch.empty(shape), std=std))


@contextmanager
def outline() -> Iterator[None]:
    """Inside the context, modules get parameters and buffers on the meta device: shapes without values."""
    with torch.device("meta"), _Undrawn():
        yield
