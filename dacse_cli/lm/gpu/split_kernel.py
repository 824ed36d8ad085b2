"""Triton kernels: attention of a decode step, split over the cache's slots, and the merge of the parts.

One program of `attend` reads one part of one row's slots for one query head; with few rows that keeps every
processor of the device busy. It rotates the query and the new key itself; the first part also stores the new
key and value. Each of the BLOCK lanes keeps a running softmax of its own (Milakov and Gimelshein, arXiv
1805.02867), so that nothing is exchanged between warps until a part is done (flash-decoding). Numbers are
converted to float32 when loaded; a one-byte cache is scaled as it is read. Query heads that share a key head
read the same slots at the same time, all but one of them from the level-2 cache.

All arithmetic is on float32 values, which Triton's interpreter computes as the device does (it multiplies
the bits of bfloat16 numbers). Imports triton.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def round_to_e4m3(x):
    """float32 to the nearest number (ties to even) that fp8 e4m3 holds, for |x| up to 448; still float32.

    Triton's interpreter loses the carry when a mantissa rounds up to the next power of two; numbers that fp8
    holds it converts exactly, as the device does.
    """
    power = (x.to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)
    unit = tl.maximum(power, 0.015625) * 0.125
    return (x / unit + 12582912.0 - 12582912.0) * unit  # 1.5 * 2 ** 23: only whole numbers are left


@triton.jit
def attend(
    heads,  # [B, HQ + 2 * H, D]: queries, new keys, new values, not rotated
    keys,  # [B, H, slots, D] of one layer, like values
    values,
    key_scales,  # float32 [B, H, slots], read only if ROUNDED
    value_scales,
    positions,  # int64 [B]: the slot of each row's new token; slots before it are read
    rotations,  # float32 [max_positions, D / 2, 2]: cosine and sine
    parts,  # out, float32 [B, HQ, SPLITS, D]: weighted sums of values
    tops,  # out, float32 [B, HQ, SPLITS]: the largest score, base 2
    sums,  # out, float32 [B, HQ, SPLITS]: sums of weights
    slots,
    scale,  # log2(e) / sqrt(D)
    HQ: tl.constexpr,
    H: tl.constexpr,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    SPLITS: tl.constexpr,
    STAGES: tl.constexpr,
    ROUNDED: tl.constexpr,
):
    head, split, b = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    h = head // (HQ // H)
    d, n = tl.arange(0, D), tl.arange(0, BLOCK)
    position = tl.load(positions + b).to(tl.int32)

    # rotation: number d is turned with its neighbour d ^ 1
    turn = rotations + position * D + d // 2 * 2
    cos, sin = tl.load(turn), tl.load(turn + 1)
    sin = tl.where(d % 2 == 0, -sin, sin)
    row = heads + b * (HQ + 2 * H) * D
    mine, fresh = row + head * D, row + (HQ + h) * D
    q = tl.load(mine + d).to(tl.float32) * cos + tl.load(mine + (d ^ 1)).to(tl.float32) * sin
    q = q * scale
    k = tl.load(fresh + d).to(tl.float32) * cos + tl.load(fresh + (d ^ 1)).to(tl.float32) * sin
    k = k.to(heads.dtype.element_ty).to(tl.float32)  # as other kernels round it
    v = tl.load(fresh + H * D + d).to(tl.float32)

    start_of_row = (b * H + h).to(tl.int64) * slots
    keys += start_of_row * D
    values += start_of_row * D
    stores = (split == 0) & (head % (HQ // H) == 0)
    if ROUNDED:
        key_scales += start_of_row
        value_scales += start_of_row
        k_scale = tl.maximum(tl.max(tl.abs(k), 0) / 448, 1e-30)
        v_scale = tl.maximum(tl.max(tl.abs(v), 0) / 448, 1e-30)
        k, v = round_to_e4m3(k / k_scale), round_to_e4m3(v / v_scale)
        k_stored, v_stored = k.to(keys.dtype.element_ty), v.to(values.dtype.element_ty)
        k, v = k * k_scale, v * v_scale
        if stores:
            tl.store(key_scales + position, k_scale)
            tl.store(value_scales + position, v_scale)
    else:
        k_stored, v_stored = k.to(keys.dtype.element_ty), v.to(values.dtype.element_ty)
    if stores:
        tl.store(keys + position * D + d, k_stored)
        tl.store(values + position * D + d, v_stored)

    # lane 0 of the first part begins with the new token, all others with nothing
    begins = (split == 0) & (n == 0)
    top = tl.where(begins, tl.sum(q * k, 0), -1e30)
    total = tl.where(begins, 1.0, 0.0)
    mixed = tl.where(begins[:, None], v[None, :], 0.0)
    share = ((position + SPLITS - 1) // SPLITS + BLOCK - 1) // BLOCK * BLOCK
    first = split * share
    stop = tl.minimum(first + share, position)
    for start in tl.range(first, stop, BLOCK, num_stages=STAGES):
        slot = start + n
        inside = slot < stop
        where = slot[:, None] * D + d[None, :]
        key = tl.load(keys + where, mask=inside[:, None], other=0.0).to(tl.float32)
        value = tl.load(values + where, mask=inside[:, None], other=0.0).to(tl.float32)
        score = tl.sum(q[None, :] * key, 1)
        if ROUNDED:
            score *= tl.load(key_scales + slot, mask=inside, other=0.0)
        score = tl.where(inside, score, -1e30)
        best = tl.maximum(top, score)
        fade, weight = tl.exp2(top - best), tl.exp2(score - best)
        total = total * fade + weight
        if ROUNDED:
            weight *= tl.load(value_scales + slot, mask=inside, other=0.0)
        mixed = mixed * fade[:, None] + weight[:, None] * value
        top = best

    # lanes that read nothing have the lowest score and a sum of values of zero
    best = tl.max(top, 0)
    fade = tl.exp2(top - best)
    into = (b * HQ + head) * SPLITS + split
    tl.store(tops + into, best)
    tl.store(sums + into, tl.sum(total * fade, 0))
    tl.store(parts + into * D + d, tl.sum(mixed * fade[:, None], 0))


@triton.jit
def merge(
    parts,  # as `attend` wrote them, like tops and sums
    tops,
    sums,
    out,  # [B, HQ, D]
    D: tl.constexpr,
    SPLITS: tl.constexpr,
):
    unit = tl.program_id(0)
    d, s = tl.arange(0, D), tl.arange(0, SPLITS)
    at = unit * SPLITS + s
    top = tl.load(tops + at)
    weight = tl.exp2(top - tl.max(top, 0))
    total = tl.sum(weight * tl.load(sums + at), 0)
    part = tl.load(parts + at[:, None] * D + d[None, :])
    mixed = tl.sum(weight[:, None] * part, 0) / total
    tl.store(out + unit * D + d, mixed.to(out.dtype.element_ty))
