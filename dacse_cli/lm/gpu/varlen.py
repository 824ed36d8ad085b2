"""Attention by `torch.nn.attention.varlen`, where Triton cannot run.

It reads the number of valid keys of each row from device memory (`seqused_k`), so a captured step serves all
lengths. With as many key heads as query heads it does not split a row's keys over processors, so batches
of few rows leave most of the device idle. `varlen_attn_out` is called: `varlen_attn` allocates its result and
fills two numbers of a random state at every call, a kernel per layer and step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dacse_cli.lm.attention.cache import LEVELS, Cache
from dacse_cli.lm.attention.prefix import BackendUnavailableError, split_heads
from dacse_cli.lm.model import Llama

Attend = Callable[..., Any]
NEEDED = ("seqused_k", "enable_gqa")
"""Arguments that `varlen_attn_out` has had since torch 2.12."""


def load_varlen(network: Llama, stored: torch.dtype) -> VarlenAttention:
    """The kernel, if this device, dtype and torch have what it needs. Raises `BackendUnavailableError`."""
    if network.device.type != "cuda":
        raise BackendUnavailableError("needs a CUDA device")
    if stored in LEVELS or network.dtype is torch.float32 or network.shape.head_dim > 256:
        raise BackendUnavailableError("takes bfloat16 or float16, head dimensions up to 256")
    if torch.cuda.get_device_capability(network.device) < (8, 0):
        raise BackendUnavailableError("needs compute capability 8.0")
    try:
        from torch.nn.attention.varlen import varlen_attn_out
    except ImportError as error:
        raise BackendUnavailableError(str(error)) from error
    missing = [name for name in NEEDED if name not in (varlen_attn_out.__kwdefaults__ or {})]
    if missing:
        raise BackendUnavailableError(f"varlen_attn_out of torch {torch.__version__} has no {missing[0]}")
    return VarlenAttention(network, varlen_attn_out)


class VarlenAttention:
    """The kernel for one network, with any batch."""

    name = "varlen_attn"
    position_major = True
    pointwise = None

    def __init__(self, network: Llama, attend: Attend) -> None:
        self.network, self.attend = network, attend

    def bind(self, store: Cache, positions: Tensor) -> BoundVarlen:
        """Like `SplitAttention.bind`; `store` must be position-major."""
        return BoundVarlen(self, store, positions)


class BoundVarlen:
    """`StepAttention` at addresses that do not change."""

    def __init__(self, owner: VarlenAttention, store: Cache, positions: Tensor) -> None:
        self.owner, self.positions, rows = owner, positions, len(positions)
        # [layers, 2, rows * slots, H, D]
        self.flat = store.values.transpose(3, 4).flatten(2, 3)
        self.longest = store.values.shape[4]
        shape = owner.network.shape
        self.out = torch.empty(
            rows, shape.heads, shape.head_dim, dtype=store.values.dtype, device=positions.device
        )
        bounds = torch.arange(rows + 1, device=positions.device)
        self.first_slots = bounds[:rows] * self.longest
        self.key_bounds, self.query_bounds = (bounds * self.longest).int(), bounds.int()

    def begin(self) -> Tensor:
        """Set the slots of this token's keys; returns its rotation `[rows, 1, D / 2]`."""
        self.slots = self.first_slots + self.positions
        self.used = (self.positions + 1).int()
        return self.owner.network.rotations.index_select(0, self.positions).unsqueeze(1)

    def __call__(self, layer: int, heads: Tensor) -> Tensor:
        shape = self.owner.network.shape
        q, kv = split_heads(heads, shape.kv_heads)
        cache = self.flat[layer]
        cache.index_copy_(1, self.slots, kv.transpose(0, 1))
        self.owner.attend(
            self.out,
            q,
            cache[0],
            cache[1],
            self.query_bounds,
            self.key_bounds,
            1,
            self.longest,
            enable_gqa=shape.heads != shape.kv_heads,
            seqused_k=self.used,
        )
        return self.out.flatten(1)
