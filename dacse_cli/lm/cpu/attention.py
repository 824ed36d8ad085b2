"""Attention of a decode step by the package's own CPU kernel, every row at its own position.

Rows start at slot 0 and may differ in length, without masks. Threads divide a step by heads. The kernel
itself is in `kernel.py`; this file decides when it can run and with which data types.
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

from dacse_cli.lm.attention.cache import Cache, format_note
from dacse_cli.lm.attention.prefix import BackendUnavailableError, prefill_attention
from dacse_cli.lm.rows import BatchPlan
from dacse_cli.lm.shape import LlamaShape

VECTOR = 16
"""The head dimension must be a multiple of this; other networks use torch's attention."""
MIN_SHARED_BYTES = 1 << 20
"""Bytes of one layer's cache from which a second thread saves more time than calling it costs."""
KERNEL_DTYPES = {torch.float32: (torch.float32, torch.int8), torch.bfloat16: (torch.bfloat16, torch.int8)}
"""The network's dtype -> cache formats the kernel has for it."""
Kernel = Callable[..., None]
LARGE = 50_000_000
"""Number of weights above which reading them takes most of a step; below, small operations do."""
BFLOAT16 = ("avx512_bf16", "amx_bf16")
"""Names of CPU instructions that multiply bfloat16."""


@cache
def load_kernel(head_dim: int, dtype: torch.dtype, stored: torch.dtype) -> Kernel:
    """The kernel for these types, compiled and checked once. Raises `BackendUnavailableError`."""
    if head_dim % VECTOR:
        raise BackendUnavailableError(f"head dimension {head_dim} is not a multiple of {VECTOR}")
    if stored not in KERNEL_DTYPES.get(dtype, ()):
        raise BackendUnavailableError(f"no kernel for {dtype} with a cache of {stored}")
    try:
        from dacse_cli.lm.cpu.kernel import compile_attend

        try:
            kernel = compile_attend(head_dim, keep=True)
            _check(kernel, head_dim, dtype, stored)
        except (OSError, RuntimeError):  # the disk is full, or no folder is writable
            kernel = compile_attend(head_dim, keep=False)
            _check(kernel, head_dim, dtype, stored)
    except Exception as error:  # a compiler fails in many ways, and torch's own attention always runs
        raise BackendUnavailableError(f"{type(error).__name__}: {error}".splitlines()[0]) from error
    return kernel


def fastest_dtype(shape: LlamaShape) -> torch.dtype:
    """The faster of float32 and bfloat16 for a network on this CPU.

    bfloat16 where the CPU has instructions for it and the kernel runs (torch's own attention reads a
    bfloat16 cache slower than a float32 one), but not for a small network, which would gain nothing.
    """
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    if shape.step_weights < LARGE or not any(able.get(name) for name in BFLOAT16):
        return torch.float32
    try:
        load_kernel(shape.head_dim, torch.bfloat16, torch.bfloat16)
    except BackendUnavailableError:
        return torch.float32
    return torch.bfloat16


def _check(kernel: Kernel, head_dim: int, dtype: torch.dtype, stored: torch.dtype) -> None:
    """Five tokens through the kernel; raises `ArithmeticError` where it differs from torch."""
    heads = torch.linspace(-2, 2, 5 * 3 * head_dim).sin().view(1, 5, 3, head_dim).to(dtype)
    shape = (1, 2, 1, 1, 5, head_dim)
    store = Cache(torch.zeros(shape, dtype=stored), torch.zeros(shape[:-1]))
    attention = CpuAttention(store, kernel)
    attention.place(np.zeros(1, np.int64))
    got = attention(0, heads.flatten(0, 1)).float()
    q, k, v = heads.float().transpose(1, 2).unsqueeze(2).unbind(1)
    want = prefill_attention(q, k, v).view(5, head_dim)
    if not torch.allclose(got, want, atol=1e-5 if stored is torch.float32 else 2e-2):
        raise ArithmeticError(f"its result is off by {float((got - want).abs().max()):.2g}")


@cache
def _helpers(threads: int) -> ThreadPoolExecutor:
    """Threads beside the calling one."""
    return ThreadPoolExecutor(threads, thread_name_prefix="attention")


class CpuAttention:
    """`StepAttention` by the kernel. `place` sets the cache slots of the rows' next tokens."""

    def __init__(self, store: Cache, kernel: Kernel) -> None:
        self._kernel, self._heads = kernel, store.values.shape[3]
        values = as_array(store.values)
        scales = store.scales if store.scales is not None else torch.zeros(*store.values.shape[:4], 1)
        self._layers = [(*pair, *sides) for pair, sides in zip(values, scales.numpy(), strict=True)]
        self._row_bytes = store.values[0, :, 0].nbytes // store.values.shape[4]

    def place(self, positions: NDArray[np.int64]) -> None:
        """The slot of the first new token of each row, `[B]`; further rows of the cache are not touched."""
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
    """The same memory as a numpy array; bfloat16, which numpy lacks, as 16-bit integers."""
    array: NDArray[Any] = (tensor.view(torch.uint16) if tensor.dtype is torch.bfloat16 else tensor).numpy()
    return array


class CpuBackend:
    """Attends by the kernel, for `EagerDecoder`."""

    def __init__(self, kernel: Kernel, stored: torch.dtype) -> None:
        self.kernel = kernel
        self.name = "dacse's CPU kernel" + format_note(stored)

    def starts(self, plan: BatchPlan) -> list[int]:
        """Every prompt begins at slot 0."""
        return [0] * plan.rows

    def begin(self, plan: BatchPlan, store: Cache) -> Callable[[int, int], CpuAttention]:
        """A function from (tokens written, rows) to the attention of the next step."""
        attention = CpuAttention(store, self.kernel)
        prompts = np.array(plan.prompts, dtype=np.int64)

        def at(written: int, rows: int) -> CpuAttention:
            attention.place(prompts[:rows] + written)
            return attention

        return at
