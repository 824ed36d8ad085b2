"""A matrix product with a fixed weight, in the fastest form for the device.

`PackedLinear` keeps the weight in oneDNN's own blocked order. With the few rows of a decode step that is
2 to 5 times faster than `F.linear` on a CPU (float32 and bfloat16, 256 to 1536 wide), because the plain
call reorders or strides through the weight each time. Values differ from the plain call only by the order
of summation.
"""

from __future__ import annotations

from functools import cache
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

MIN_PACKED_ELEMENTS = 100_000
"""Size below which a product costs less than oneDNN's set-up (about 15 microseconds)."""
PACK_ROWS = 8  # the row count for which the blocked order is chosen; other counts also work


class Linear(Protocol):
    """`y = x W^T + b` for `x` `[N, in]`."""

    def __call__(self, x: Tensor) -> Tensor:
        """`[N, in]` -> `[N, out]` in the dtype of the weight."""

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """`residual + y`; `residual` float32 `[N, out]` may be overwritten, use the returned one."""


class PlainLinear:
    """`torch`'s own product, any device and dtype."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        if self.bias is None and self.weight.dtype is residual.dtype:
            return residual.addmm_(x, self.weight.t())
        return residual.add_(self(x))


class PackedLinear:
    """oneDNN's product with a weight reordered once (CPU)."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PACK_ROWS)
        self.bias = bias
        self.full_precision = weight.dtype is torch.float32

    def __call__(self, x: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return out

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        if not self.full_precision:
            return residual.add_(self(x))
        out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, residual, self.weight, self.bias, "add")
        return out


def make_linear(weight: Tensor, bias: Tensor | None = None) -> Linear:
    """The fastest form for `weight` `[out, in]` on its device. `weight` may be freed afterwards."""
    if weight.device.type == "cpu" and weight.numel() >= MIN_PACKED_ELEMENTS and can_pack(weight.dtype):
        return PackedLinear(weight, bias)
    return PlainLinear(weight, bias)


@cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch build packs weights of `dtype`: tried once on a small product.

    The operators are those torch's own compiler emits for a CPU, not public API: any failure means "no".
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    weight = torch.linspace(-1, 1, 64 * 32).view(64, 32).to(dtype)
    x, residual = weight[:8].contiguous(), torch.ones(8, 64)
    try:
        packed = PackedLinear(weight, None)
        got, summed = packed(x), packed.add_to(residual.clone(), x)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    want = F.linear(x, weight)
    return torch.allclose(got, want, rtol=1e-2, atol=1e-2) and torch.allclose(
        summed, want + residual, rtol=1e-2, atol=1e-2
    )
