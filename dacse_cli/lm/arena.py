"""The key-value cache: one block of memory, reused by every batch."""

from __future__ import annotations

import torch
from torch import Tensor

from dacse_cli.lm.shape import LlamaShape


class KeyValueArena:
    """Memory for keys and values, grown when a batch needs more and never given back in between."""

    def __init__(self, shape: LlamaShape, device: torch.device, dtype: torch.dtype) -> None:
        self.shape, self.device, self.dtype = shape, device, dtype
        self.memory = torch.empty(0, device=device, dtype=dtype)

    def view(self, rows: int, positions: int, *, position_major: bool = False) -> Tensor:
        """`[layers, 2, rows, kv_heads, positions, head_dim]`, contents undefined.

        In memory, positions lie next to each other within a head, the order in which attention reads them:
        on a CPU that is up to twice as fast as heads within a position, which `position_major` gives
        (same axes) for kernels that ask for it. Raises `torch.OutOfMemoryError` (CUDA) or
        `MemoryError`, with nothing held, so that a caller can try a smaller batch.
        """
        shape = self.shape
        needed = rows * positions * shape.position_elements
        if needed > self.memory.numel():
            self.release()
            try:
                self.memory = torch.empty(needed, device=self.device, dtype=self.dtype)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # what torch raises for a CPU
                raise MemoryError(f"no memory for {rows} rows of {positions} positions") from error
        heads, dim = shape.kv_heads, shape.head_dim
        if position_major:
            return self.memory[:needed].view(shape.layers, 2, rows, positions, heads, dim).transpose(3, 4)
        return self.memory[:needed].view(shape.layers, 2, rows, heads, positions, dim)

    def release(self) -> None:
        """Give the memory back."""
        self.memory = torch.empty(0, device=self.device, dtype=self.dtype)
