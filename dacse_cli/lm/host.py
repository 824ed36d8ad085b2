"""CPU rung: the package's own attention kernel over the cache, every row at its own position.

Rows start at slot 0 and may differ in length; no mask exists. Threads share a step by heads, and each works
alone on its own. The kernel itself is in `host_kernel.py`; here is when it runs and on what.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dacse_cli.lm.arena import Cache, note
from dacse_cli.lm.attention import prefill_attention
from dacse_cli.lm.rows import BatchPlan
from dacse_cli.lm.shape import LlamaShape

VECTOR = 16
"""Heads must be multiples of this many numbers; others are left to torch."""
MIN_SHARED_BYTES = 1 << 20
"""Of a layer's cache: to read less, calling another thread costs more than it saves."""
KERNEL_DTYPES = {torch.float32: (torch.float32, torch.int8), torch.bfloat16: (torch.bfloat16, torch.int8)}
"""What the kernel computes from -> what it can keep in the cache."""
Kernel = Callable[..., None]


LARGE = 50_000_000
"""Weights from which a CPU's step waits for them; a smaller network's waits for its many small operations."""
BFLOAT16 = ("avx512_bf16", "amx_bf16")
"""Names of instructions that multiply bfloat16."""


class KernelUnavailableError(Exception):
    """The kernel cannot run here; the reason in words."""


@cache
def load_kernel(head_dim: int, dtype: torch.dtype, stored: torch.dtype) -> Kernel:
    """The kernel, compiled for these and tried once. Raises `KernelUnavailableError`."""
    if head_dim % VECTOR:
        raise KernelUnavailableError(f"heads of {head_dim} numbers are no multiple of {VECTOR}")
    if stored not in KERNEL_DTYPES.get(dtype, ()):
        raise KernelUnavailableError(f"no kernel for {dtype} with a cache of {stored}")
    try:
        from dacse_cli.lm.host_kernel import compile_attend

        try:
            kernel = compile_attend(head_dim, keep=True)
            _try(kernel, head_dim, dtype, stored)
        except (OSError, RuntimeError):  # a full disk, or no folder that can be written
            kernel = compile_attend(head_dim, keep=False)
            _try(kernel, head_dim, dtype, stored)
    except Exception as error:  # a compiler has many ways to fail, and torch's own attention is there
        raise KernelUnavailableError(f"{type(error).__name__}: {error}".splitlines()[0]) from error
    return kernel


def host_dtype(shape: LlamaShape) -> torch.dtype:
    """The faster of float32 and bfloat16 for a network on this CPU.

    bfloat16 where there are instructions for it and the kernel runs (torch's own attention reads a bfloat16
    cache slower than a float32 one), but not for a small network: it would round for nothing.
    """
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    if shape.step_weights < LARGE or not any(able.get(name) for name in BFLOAT16):
        return torch.float32
    try:
        load_kernel(shape.head_dim, torch.bfloat16, torch.bfloat16)
    except KernelUnavailableError:
        return torch.float32
    return torch.bfloat16


def _try(kernel: Kernel, head_dim: int, dtype: torch.dtype, stored: torch.dtype) -> None:
    """Five tokens through the kernel; raises `ArithmeticError` where it differs from torch."""
    heads = torch.linspace(-2, 2, 5 * 3 * head_dim).sin().view(1, 5, 3, head_dim).to(dtype)
    shape = (1, 2, 1, 1, 5, head_dim)
    store = Cache(torch.zeros(shape, dtype=stored), torch.zeros(shape[:-1]))
    attention = HostAttention(store, kernel)
    attention.place(np.zeros(1, np.int64))
    got = attention(0, heads.flatten(0, 1)).float()
    q, k, v = heads.float().transpose(1, 2).unsqueeze(2).unbind(1)
    want = prefill_attention(q, k, v).view(5, head_dim)
    if not torch.allclose(got, want, atol=1e-5 if stored is torch.float32 else 2e-2):
        raise ArithmeticError(f"it is off by {float((got - want).abs().max()):.2g}")


@cache
def _helpers(threads: int) -> ThreadPoolExecutor:
    """Threads beside the calling one."""
    return ThreadPoolExecutor(threads, thread_name_prefix="attention")


class HostAttention:
    """`StepAttention` by the kernel. `place` says where the next tokens of the rows go."""

    def __init__(self, store: Cache, kernel: Kernel) -> None:
        self._kernel, self._heads = kernel, store.values.shape[3]
        values = as_array(store.values)
        scales = store.scales if store.scales is not None else torch.zeros(*store.values.shape[:4], 1)
        self._layers = [(*pair, *sides) for pair, sides in zip(values, scales.numpy(), strict=True)]
        self._row_bytes = store.values[0, :, 0].nbytes // store.values.shape[4]

    def place(self, positions: NDArray[np.int64]) -> None:
        """The slot of every row's first new token, `[B]`; rows beyond are left alone."""
        self._positions = positions
        threads, work = torch.get_num_threads(), self._row_bytes * int(positions.sum())
        units = len(positions) * self._heads
        parts = min(threads, units) if work >= MIN_SHARED_BYTES else 1
        self._bounds = [units * part // parts for part in range(parts + 1)]

    def __call__(self, layer: int, heads: Tensor) -> Tensor:
        N, _, D = heads.shape
        B = len(self._positions)
        keys, values, key_scales, value_scales = self._layers[layer]
        out = torch.empty(N, (heads.shape[1] - 2 * self._heads) * D, dtype=heads.dtype)
        new = as_array(heads).reshape(B, N // B, -1, D)
        into = as_array(out).reshape(B, N // B, -1, D)
        fixed = (new, keys, values, key_scales, value_scales, self._positions, into)
        parts = list(zip(self._bounds, self._bounds[1:], strict=False))
        others = [_helpers(len(parts) - 1).submit(self._kernel, *fixed, *part) for part in parts[1:]]
        self._kernel(*fixed, *parts[0])
        for other in others:
            other.result()
        return out


def as_array(tensor: Tensor) -> NDArray[Any]:
    """The same memory for numpy, which has no bfloat16: its bits."""
    array: NDArray[Any] = (tensor.view(torch.uint16) if tensor.dtype is torch.bfloat16 else tensor).numpy()
    return array


class HostRung:
    """A way for `EagerDecoder` to attend: by the kernel."""

    def __init__(self, kernel: Kernel, stored: torch.dtype) -> None:
        self.kernel = kernel
        self.name = "own CPU kernel" + note(stored)

    def starts(self, plan: BatchPlan) -> list[int]:
        """Every prompt begins at slot 0."""
        return [0] * plan.rows

    def begin(self, plan: BatchPlan, store: Cache) -> Callable[[int, int], HostAttention]:
        """A function from (tokens written, rows) to the attention of the next step."""
        attention = HostAttention(store, self.kernel)
        prompts = np.array(plan.prompts, dtype=np.int64)

        def at(written: int, rows: int) -> HostAttention:
            attention.place(prompts[:rows] + written)
            return attention

        return at
