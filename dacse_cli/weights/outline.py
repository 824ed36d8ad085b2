"""Networks built without numbers, to say which tensors a file must hold and to be filled from it.

Whatever torch computes on its meta device, random numbers and quotients for example, makes it import its
compiler, which takes 1.4 to 2 s of every start. So nothing is drawn here, and networks that are built here
compute nothing in their constructors: they take random parameters from `drawn`.
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
    """A parameter of normal random numbers with standard deviation `std`; in an outline only its shape."""
    return nn.Parameter(nn.init.normal_(torch.empty(shape), std=std))


@contextmanager
def outline() -> Iterator[None]:
    """Inside, modules get parameters and buffers of their shapes on the meta device."""
    with torch.device("meta"), _Undrawn():
        yield
