"""Triton kernels: the operations of a decode step between matrix products, in one pass over each row.

All arithmetic is on float32 values. Imports triton.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def add_norm(
    x,  # float32 [N, size], the residual stream; the sum is written back
    y,  # [N, size], added to x if ADD
    weight,  # float32 [size]
    out,  # [N, size]: the RMSNorm of the sum
    size,
    eps,
    SIZE: tl.constexpr,  # the power of two from `size` on
    ADD: tl.constexpr,
):
    row = tl.program_id(0)
    at = tl.arange(0, SIZE)
    inside = at < size
    value = tl.load(x + row * size + at, mask=inside, other=0.0)
    if ADD:
        value += tl.load(y + row * size + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(x + row * size + at, value, mask=inside)
    mean = tl.sum(value * value, 0) / size
    scaled = value * (1.0 / tl.sqrt(mean + eps)) * tl.load(weight + at, mask=inside, other=0.0)
    tl.store(out + row * size + at, scaled.to(out.dtype.element_ty), mask=inside)


@triton.jit
def gated(
    gate_up,  # [N, 2 * size]
    out,  # [N, size]: silu(gate) * up
    size,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    gate = tl.load(gate_up + row * 2 * size + at, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * size + size + at, mask=inside, other=0.0).to(tl.float32)
    product = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(out + row * size + at, product.to(out.dtype.element_ty), mask=inside)
