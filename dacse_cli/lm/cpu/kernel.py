"""The CPU's attention kernel of a decode step, compiled by numba at first use and kept on disk.

A step reads every key and value of its rows once: on a CPU it lasts as long as that read. Torch's own kernel
reaches a fraction of the memory's bandwidth with one query per row (least with bfloat16). This one reads the
slots of a head in blocks that stay in the first-level cache, converts numbers in registers, and sums in
float32 with a running softmax (Milakov and Gimelshein, arXiv 1805.02867). The result for a row depends on
that row alone. Works on arrays only; imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

BLOCK = 64
"""Slots read per block: 64 keys of 64 numbers are 4 to 16 KiB."""
LOG2E, LN2_HIGH, LN2_LOW = np.float32(1.4426950408889634), np.float32(0.693359375), np.float32(-2.12194440e-4)
LOWEST = np.float32(-87.0)
"""Below this, exp is smaller than the smallest normal float32."""
FIRST = np.float32(-1e30)
"""Initial value of a running maximum, in place of minus infinity."""
SETTINGS: dict[str, Any] = {
    "nogil": True,
    # sums may be reordered; NaN and infinity keep their meaning
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
    "error_model": "numpy",
}


@intrinsic
def to_float(context: Any, x: Any) -> Any:
    """A number as the cache holds it -> float32; 16 unsigned bits are a bfloat16."""

    def widen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if x == types.float32:
            return args[0]
        if x == types.int8:
            return builder.sitofp(args[0], ir.FloatType())
        wide = builder.shl(builder.zext(args[0], ir.IntType(32)), ir.Constant(ir.IntType(32), 16))
        return builder.bitcast(wide, ir.FloatType())

    return types.float32(x), widen


@intrinsic
def from_float(context: Any, like: Any, x: Any) -> Any:
    """A float32 -> an element of the array `like`: itself, to nearest even as bfloat16, or cut to int8."""

    def narrow(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word, value = ir.IntType(32), args[1]
        if like.dtype == types.float32:
            return value
        if like.dtype == types.int8:
            return builder.fptosi(value, ir.IntType(8))
        bits = builder.bitcast(value, word)
        odd = builder.and_(builder.lshr(bits, ir.Constant(word, 16)), ir.Constant(word, 1))
        rounded = builder.add(builder.add(bits, ir.Constant(word, 0x7FFF)), odd)
        return builder.trunc(builder.lshr(rounded, ir.Constant(word, 16)), ir.IntType(16))

    return like.dtype(like, types.float32), narrow


@intrinsic
def is_scaled(context: Any, like: Any) -> Any:
    """Whether the array `like` holds int8 with scales; a constant at compile time."""

    def answer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(1), int(like.dtype == types.int8))

    return types.boolean(like), answer


@intrinsic
def float_of(context: Any, x: Any) -> Any:
    """The float32 of 32 bits."""

    def cast(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), cast


@njit(inline="always")
def exp(x):
    """exp of a float32 that is not above 0, to 1e-7: the polynomial of Cephes, which vectorises."""
    x = max(x, LOWEST)
    n = np.floor(x * LOG2E + np.float32(0.5))
    r = x - n * LN2_HIGH - n * LN2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    return p * float_of(np.uint32((np.int32(n) + np.int32(127)) << np.int32(23)))


@njit(inline="always")
def store(new, slots, scales, at):
    """One new key or value `new` `[D]` into slot `at`; as int8 with its own scale."""
    factor = np.float32(1)
    if is_scaled(slots):
        top = np.float32(1e-30)
        for d in range(len(new)):
            top = max(top, abs(to_float(new[d])))
        scales[at] = top / np.float32(127)
        factor = np.float32(127) / top
    for d in range(len(new)):
        value = to_float(new[d])
        if is_scaled(slots):
            value = np.rint(value * factor)
        slots[at, d] = from_float(slots, value)


@njit(inline="always")
def fade_in(scores, n, top, sums, at):
    """Turn scores `[:n]` into weights relative to the new maximum; return it and the factor for old sums."""
    best = top
    for i in range(n):
        best = max(best, scores[i])
    fade = exp(top - best)
    total = np.float32(0)
    for i in range(n):
        scores[i] = exp(scores[i] - best)
        total += scores[i]
    sums[at] = sums[at] * fade + total
    return best, fade


def compile_attend(D: int, *, keep: bool) -> Callable[..., None]:
    """The kernel for head dimension `D`, a constant so that the sums of a head stay in registers.

    With `keep` it is stored beside this file, or in the user's cache if that folder cannot be written;
    raises `RuntimeError` or `OSError` (when called) if neither can.
    """

    def attend(heads, keys, values, key_scales, value_scales, positions, out, first, last):
        """Store new positions, then attend over all, for units `first <= b * H + h < last`.

        heads `[B, Q, G * H + 2 * H, D]` (queries, keys, values, rotated) for Q new tokens per row, keys and
        values `[B, H, L, D]`, their scales `[B, H, L]` (used for int8 alone), positions `[B]`: the slot of
        a row's first new token, out `[B, Q, G * H, D]`. Token j of a row sees the slots up to its own.
        """
        Q, H = heads.shape[1], keys.shape[1]
        G = out.shape[2] // H
        root = np.float32(1 / np.sqrt(D))
        query, scores = np.empty(D, np.float32), np.empty(BLOCK, np.float32)
        tops, sums = np.empty((Q * G), np.float32), np.empty((Q * G), np.float32)
        totals = np.empty((Q * G, D), np.float32)
        for unit in range(first, last):
            b, h = unit // H, unit % H
            K, V, k_scales, v_scales = keys[b, h], values[b, h], key_scales[b, h], value_scales[b, h]
            for j in range(Q):
                store(heads[b, j, G * H + h], K, k_scales, positions[b] + j)
                store(heads[b, j, G * H + H + h], V, v_scales, positions[b] + j)
            tops[:] = FIRST
            sums[:] = 0
            totals[:] = 0
            for start in range(0, positions[b] + Q, BLOCK):
                for a in range(Q * G):  # query g of token j; keys are read once for all of them
                    j, g = a // G, a % G
                    n = min(BLOCK, positions[b] + j + 1 - start)
                    for d in range(D):
                        query[d] = to_float(heads[b, j, h * G + g, d]) * root
                    for i in range(n):
                        dot = np.float32(0)
                        for d in range(D):
                            dot += query[d] * to_float(K[start + i, d])
                        scores[i] = dot
                    if is_scaled(K):
                        for i in range(n):
                            scores[i] *= k_scales[start + i]
                    tops[a], fade = fade_in(scores, n, tops[a], sums, a)
                    if is_scaled(V):
                        for i in range(n):
                            scores[i] *= v_scales[start + i]
                    mixed = totals[a]
                    for d in range(D):
                        mixed[d] *= fade
                    for i in range(n):
                        weight = scores[i]
                        for d in range(D):
                            mixed[d] += weight * to_float(V[start + i, d])
            for a in range(Q * G):
                share = np.float32(1) / sums[a]
                for d in range(D):
                    out[b, a // G, h * G + a % G, d] = from_float(out, totals[a, d] * share)

    return njit(cache=keep, **SETTINGS)(attend)  # type: ignore[no-any-return]
