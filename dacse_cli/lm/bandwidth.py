"""What decoding costs in memory traffic, and how fast this machine reads memory: the bound on its speed.

A decode step reads all weights once and each row's own cache once; on current devices, arithmetic takes less
time than that. So tokens per second are at most `rows / (bytes of a step / bandwidth)`.
"""

from __future__ import annotations

import math
import time

import torch

from dacse_cli.lm.generate import LanguageModel

_PROBE_BYTES = {"cuda": 1 << 31, "cpu": 1 << 28, "mps": 1 << 28}
_REPEATS = 5


def weight_bytes(lm: LanguageModel) -> int:
    """Bytes of weights that one step reads."""
    return lm.network.shape.step_weights * lm.network.dtype.itemsize


def step_bytes(lm: LanguageModel, rows: int, positions: float) -> float:
    """Bytes that a step of `rows` rows reads when each has `positions` positions in its cache."""
    return weight_bytes(lm) + rows * lm.row_bytes(1) * positions


def read_bandwidth(device: str) -> float:
    """Bytes per second of a plain read: the sum over a tensor larger than any cache, best of a few."""
    where = torch.device(device)
    values = torch.ones(_PROBE_BYTES[where.type] // 4, dtype=torch.float32, device=where)
    best = math.inf
    for _ in range(_REPEATS):
        began = time.perf_counter()
        values.sum().item()  # .item() waits for the device
        best = min(best, time.perf_counter() - began)
    return values.nbytes / best
