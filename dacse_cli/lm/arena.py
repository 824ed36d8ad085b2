"""The key-value cache: one block of memory, reused by every batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dacse_cli.lm.shape import LlamaShape

LEVELS = 127
"""An int8 number in the cache is value / scale, from -LEVELS to LEVELS."""


@dataclass(frozen=True)
class Cache:
    """Keys and values of a batch. Axes: layers, 2 (keys, values), B rows, H key heads, L slots, D."""

    values: Tensor
    """`[layers, 2, B, H, L, D]`."""
    scales: Tensor | None = None
    """float32 `[layers, 2, B, H, L]` where `values` are int8: one for every key and every value."""

    def part(self, rows: slice, start: int, stop: int) -> Cache:
        """These rows' slots `start .. stop`."""
        scales = None if self.scales is None else self.scales[:, :, rows, :, start:stop]
        return Cache(self.values[:, :, rows, :, start:stop], scales)

    def clear(self, rows: slice, stop: int) -> None:
        """Zeros in front of slot `stop`: what is masked must still be numbers, for 0 * NaN is NaN."""
        self.values[:, :, rows, :, :stop].zero_()

    def fill(self, layer: int, kv: Tensor) -> tuple[Tensor, Tensor]:
        """A prompt's keys and values `[B, L, 2, H, D]` into all slots; gives both as `[B, H, L, D]`.

        What is given back was never rounded to int8: a prompt attends to itself exactly.
        """
        kv = kv.permute(2, 0, 3, 1, 4)
        if self.scales is None:
            self.values[layer].copy_(kv)
            keys, values = self.values[layer].unbind(0)
            return keys, values
        scales = kv.abs().amax(dim=-1).float().div_(LEVELS).clamp_(min=1e-30)
        self.scales[layer].copy_(scales)
        self.values[layer].copy_((kv.float() / scales.unsqueeze(-1)).round_())
        keys, values = kv.contiguous().unbind(0)
        return keys, values


class KeyValueArena:
    """Memory for keys and values, grown when a batch needs more and never given back in between.

    `dtype` is that of the cache: the network's, or int8.
    """

    def __init__(self, shape: LlamaShape, device: torch.device, dtype: torch.dtype) -> None:
        self.shape, self.device, self.dtype = shape, device, dtype
        self.memory = torch.empty(0, device=device, dtype=dtype)
        self.scales = torch.empty(0, device=device)

    @property
    def position_bytes(self) -> int:
        """Bytes one position of one row takes."""
        elements = self.shape.position_elements
        scales = 4 * elements // self.shape.head_dim if self.dtype is torch.int8 else 0
        return elements * self.dtype.itemsize + scales

    def view(self, rows: int, positions: int, *, position_major: bool = False) -> Cache:
        """A cache of `rows` times `positions` slots, contents undefined.

        In memory, positions lie next to each other within a head, the order in which attention reads them:
        on a CPU that is up to twice as fast as heads within a position, which `position_major` gives
        (same axes) for kernels that ask for it. Raises `torch.OutOfMemoryError` (CUDA) or
        `MemoryError`, with nothing held, so that a caller can try a smaller batch.
        """
        shape = self.shape
        heads, dim = shape.kv_heads, shape.head_dim
        needed = rows * positions * shape.position_elements
        if needed > self.memory.numel():
            self.release()
            try:
                self.memory = torch.empty(needed, device=self.device, dtype=self.dtype)
                if self.dtype is torch.int8:
                    self.scales = torch.empty(needed // dim, device=self.device)
            except torch.OutOfMemoryError:
                self.release()
                raise
            except RuntimeError as error:  # what torch raises for a CPU
                self.release()
                raise MemoryError(f"no memory for {rows} rows of {positions} positions") from error
        if position_major:
            values = self.memory[:needed].view(shape.layers, 2, rows, positions, heads, dim)
            return Cache(values.transpose(3, 4))
        values = self.memory[:needed].view(shape.layers, 2, rows, heads, positions, dim)
        if self.dtype is not torch.int8:
            return Cache(values)
        return Cache(values, self.scales[: needed // dim].view(values.shape[:-1]))

    def release(self) -> None:
        """Give the memory back."""
        self.memory = torch.empty(0, device=self.device, dtype=self.dtype)
        self.scales = torch.empty(0, device=self.device)
