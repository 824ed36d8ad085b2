"""`Pointwise` by the Triton kernels: one launch where torch needs two to four."""

from __future__ import annotations

import torch
from torch import Tensor

from dacse_cli.lm.linear import Linear

BLOCK = 1024
"""Numbers of a row that one program of `gated` processes."""


class TritonPointwise:
    """Launches the kernels of `pointwise_kernel.py`."""

    def __init__(self, eps: float) -> None:
        from dacse_cli.lm.gpu import pointwise_kernel

        self.eps, self._kernel = eps, pointwise_kernel

    def norm(self, x: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
        return self._add_norm(x, None, weight, dtype)

    def add_norm(
        self, linear: Linear, x: Tensor, y: Tensor, weight: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        return x, self._add_norm(x, linear(y), weight, dtype)

    def gated(self, gate_up: Tensor) -> Tensor:
        rows, size = gate_up.shape[0], gate_up.shape[1] // 2
        out = torch.empty(rows, size, dtype=gate_up.dtype, device=gate_up.device)
        self._kernel.gated[(rows, -(-size // BLOCK))](gate_up, out, size, BLOCK=BLOCK)
        return out

    def _add_norm(self, x: Tensor, y: Tensor | None, weight: Tensor, dtype: torch.dtype) -> Tensor:
        rows, size = x.shape
        out = torch.empty(rows, size, dtype=dtype, device=x.device)
        block = 1 << (size - 1).bit_length()
        self._kernel.add_norm[(rows,)](
            x, x if y is None else y, weight, out, size, self.eps, SIZE=block, ADD=y is not None
        )
        return out
