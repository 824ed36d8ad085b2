"""The key-value cache: one block of memory, reused by every batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dacse_cli.lm.shape import LlamaShape

ROUNDED = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}
"""Cache formats of one byte per number, stored as value / scale."""
LEVELS = {torch.int8: 127, torch.float8_e4m3fn: 448}
"""The largest value of each such format."""


def format_note(stored: torch.dtype) -> str:
    """`", fp8 cache"` for a cache in a format of its own, else an empty string."""
    return next((f", {name} cache" for name, kind in ROUNDED.items() if kind is stored), "")


def rounded(numbers: Tensor, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """`[..., D]` as `kind`, with the float32 scales `[...]` that restore it by multiplication."""
    scales = numbers.abs().amax(dim=-1).float().div_(LEVELS[kind]).clamp_(min=1e-30)
    levels = numbers.float() / scales.unsqueeze(-1)
    return (levels.round_() if kind is torch.int8 else levels).to(kind), scales


@dataclass(frozen=True)
class Cache:
    """Keys and values of a batch. Axes: layers, 2 (keys, values), B rows, H key heads, L slots, D."""

    values: Tensor
    """`[layers, 2, B, H, L, D]`."""
    scales: Tensor | None = None
    """float32 `[layers, 2, B, H, L]` for `ROUNDED` formats: one for every key and every value."""

    def part(self, rows: slice, start: int, stop: int) -> Cache:
        """Slots `start .. stop` of these rows."""
        scales = None if self.scales is None else self.scales[:, :, rows, :, start:stop]
        return Cache(self.values[:, :, rows, :, start:stop], scales)

    def clear(self, rows: slice, stop: int) -> None:
        """Zero the slots before `stop`: masked slots must hold finite numbers, because 0 * NaN is NaN."""
        self.values[:, :, rows, :, :stop].zero_()
        if self.scales is not None:
            self.scales[:, :, rows, :, :stop].zero_()

    def fill(self, layer: int, kv: Tensor) -> tuple[Tensor, Tensor]:
        """Store a prompt's keys and values `[B, L, 2, H, D]` in all slots; return both as `[B, H, L, D]`.

        The returned tensors are not rounded, so a prompt attends to itself exactly.
        """
        kv = kv.permute(2, 0, 3, 1, 4)
        if self.scales is None:
            self.values[layer].copy_(kv)
            keys, values = self.values[layer].unbind(0)
            return keys, values
        self._store(layer, slice(None), kv)
        keys, values = kv.contiguous().unbind(0)
        return keys, values

    def append(self, layer: int, kv: Tensor) -> None:
        """Round one new key and value per head, `[B, 2, H, D]`, into the last slot."""
        self._store(layer, slice(-1, None), kv.transpose(0, 1).unsqueeze(-2))

    def _store(self, layer: int, slots: slice, kv: Tensor) -> None:
        assert self.scales is not None
        numbers, scales = rounded(kv, self.values.dtype)
        self.values[layer, ..., slots, :] = numbers
        self.scales[layer, ..., slots] = scales

    def read(self, layer: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """All keys and values `[B, H, L, D]` of a rounded cache, restored to `dtype`."""
        assert self.scales is not None
        numbers = self.values[layer].to(dtype) * self.scales[layer].to(dtype).unsqueeze(-1)
        keys, values = numbers.unbind(0)
        return keys, values


class KeyValueArena:
    """Memory for keys and values. It grows when a batch needs more and is kept between batches.

    `dtype` is the cache's format: the network's, or one of `ROUNDED`.
    """

    def __init__(self, shape: LlamaShape, device: torch.device, dtype: torch.dtype) -> None:
        self.shape, self.device, self.dtype = shape, device, dtype
        self.memory = torch.empty(0, device=device, dtype=dtype)
        self.scales = torch.empty(0, device=device)
        self.before_release: Callable[[], None] = lambda: None
        """Called before the memory is given up, so that graphs captured over it are dropped."""

    @property
    def position_bytes(self) -> int:
        """Bytes of one position of one row."""
        elements = self.shape.position_elements
        scales = 4 * elements // self.shape.head_dim if self.dtype in LEVELS else 0
        return elements * self.dtype.itemsize + scales

    def view(self, rows: int, positions: int, *, position_major: bool = False) -> Cache:
        """A cache of `rows` times `positions` slots with undefined contents.

        Positions of one head are adjacent in memory, the order in which attention reads them; with
        `position_major` the heads of one position are adjacent (same axes), for kernels that need that.
        Raises `torch.OutOfMemoryError` (CUDA) or `MemoryError` with nothing held, so that the caller can
        try a smaller batch.
        """
        shape = self.shape
        heads, dim = shape.kv_heads, shape.head_dim
        needed = rows * positions * shape.position_elements
        if needed > self.memory.numel():
            self._grow(needed, f"{rows} rows of {positions} positions")
        if position_major:
            values = self.memory[:needed].view(shape.layers, 2, rows, positions, heads, dim)
            return Cache(values.transpose(3, 4))
        values = self.memory[:needed].view(shape.layers, 2, rows, heads, positions, dim)
        if self.dtype not in LEVELS:
            return Cache(values)
        return Cache(values, self.scales[: needed // dim].view(values.shape[:-1]))

    def _grow(self, needed: int, what: str) -> None:
        self.release()
        try:
            self.memory = torch.empty(needed, device=self.device, dtype=self.dtype)
            if self.dtype in LEVELS:
                self.scales = torch.empty(needed // self.shape.head_dim, device=self.device)
        except torch.OutOfMemoryError:
            self.release()
            raise
        except RuntimeError as error:  # what torch raises for a CPU
            self.release()
            raise MemoryError(f"no memory for {what}") from error

    def release(self) -> None:
        """Free the memory."""
        self.before_release()
        self.memory = torch.empty(0, device=self.device, dtype=self.dtype)
        self.scales = torch.empty(0, device=self.device)
