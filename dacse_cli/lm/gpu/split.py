"""Attention by the Triton kernels of `split_kernel.py`: the number of parts, and the launch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dacse_cli.lm.attention.cache import LEVELS, Cache, format_note
from dacse_cli.lm.gpu.pointwise import TritonPointwise
from dacse_cli.lm.model import Llama

BLOCK_BYTES, BLOCK_NUMBERS = 8192, 4096
"""Limits on the keys that a program loads at once (and as many values); its sums must fit the registers."""
STAGES = 3
"""Blocks in flight per program: one is used while the next two are loaded."""
WARPS = 4
PROGRAMS = 8
"""Programs per multiprocessor that are needed to use the full memory bandwidth."""
MOST_SPLITS = 64


def block_slots(head_dim: int, item_bytes: int) -> int:
    """Slots that a program of the kernel loads at once: a power of two."""
    return max(16, min(BLOCK_NUMBERS, BLOCK_BYTES // item_bytes) // head_dim)


def plan_splits(units: int, processors: int, slots: int, block: int) -> int:
    """Into how many parts the slots of each of `units` (rows times query heads) are split: a power of two.

    Fixed when a step is captured, so a row's sums do not depend on how long other rows are.
    """
    wanted = math.ceil(PROGRAMS * processors / units)
    most = min(MOST_SPLITS, max(1, slots // (2 * block)))
    return min(1 << (wanted - 1).bit_length(), 1 << (most.bit_length() - 1))


class SplitAttention:
    """The kernels for one network on one device, with any batch."""

    position_major = False

    def __init__(self, network: Llama, stored: torch.dtype, processors: int) -> None:
        from dacse_cli.lm.gpu import split_kernel

        self.name = "Triton split-KV kernel" + format_note(stored)
        self.pointwise = TritonPointwise(network.shape.eps)
        self.kernel, self.processors, self.shape = split_kernel, processors, network.shape
        # [max_positions, D / 2, 2]
        self.rotations = torch.view_as_real(network.rotations)

    def bind(self, store: Cache, positions: Tensor) -> BoundSplit:
        """Attention of the first rows of `store`, whose new tokens go to slots `positions` int64 `[rows]`.

        `positions` is read on the device at every call.
        """
        return BoundSplit(self, store, positions)


class BoundSplit:
    """`StepAttention` at addresses that do not change."""

    def __init__(self, owner: SplitAttention, store: Cache, positions: Tensor) -> None:
        shape, rows = owner.shape, len(positions)
        self.owner, self.positions, self.slots = owner, positions, store.values.shape[4]
        self.block = block_slots(shape.head_dim, store.values.dtype.itemsize)
        self.splits = plan_splits(rows * shape.heads, owner.processors, self.slots, self.block)
        device = store.values.device
        self.parts = torch.empty(rows, shape.heads, self.splits, shape.head_dim, device=device)
        self.tops = torch.empty(rows, shape.heads, self.splits, device=device)
        self.sums = torch.empty_like(self.tops)
        scales = store.scales if store.scales is not None else store.values
        pairs = zip(store.values.unbind(0), scales.unbind(0), strict=True)
        self.layers = [(*kv.unbind(0), *kv_scales.unbind(0)) for kv, kv_scales in pairs]
        self.rounded = store.values.dtype in LEVELS

    def begin(self) -> None:
        """Do nothing: the kernel rotates and finds the slots itself."""

    def __call__(self, layer: int, heads: Tensor) -> Tensor:
        owner, shape, rows = self.owner, self.owner.shape, len(self.positions)
        out = torch.empty(rows, shape.heads * shape.head_dim, dtype=heads.dtype, device=heads.device)
        owner.kernel.attend[(shape.heads, self.splits, rows)](
            heads,
            *self.layers[layer],
            self.positions,
            owner.rotations,
            self.parts,
            self.tops,
            self.sums,
            self.slots,
            math.log2(math.e) / math.sqrt(shape.head_dim),
            HQ=shape.heads,
            H=shape.kv_heads,
            D=shape.head_dim,
            BLOCK=self.block,
            SPLITS=self.splits,
            STAGES=STAGES,
            ROUNDED=self.rounded,
            num_warps=WARPS,
            enable_fp_fusion=True,
        )
        merged: Callable[..., Any] = owner.kernel.merge[(rows * shape.heads,)]
        merged(self.parts, self.tops, self.sums, out, D=shape.head_dim, SPLITS=self.splits, num_warps=1)
        return out
