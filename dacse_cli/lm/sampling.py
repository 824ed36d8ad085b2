"""Sampling ids instead of taking the best ones: for a second attempt at a chunk.

The Gumbel-max method: the argmax of `logits / temperature + g`, with g = -ln(-ln u) for uniform u, is a
sample of softmax(logits / temperature). Each row has a generator of its own, so its ids do not depend on
the other rows of the batch, and a seed repeats them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dacse_cli.interfaces import Draw

__all__ = ["Draw", "RowNoise"]


class RowNoise:
    """Noise for the logits of a batch whose rows, in working order, are sampled as `draws` say."""

    def __init__(self, draws: Sequence[Draw], device: torch.device) -> None:
        self._draws = [(draw.temperature, np.random.default_rng(draw.seed)) for draw in draws]
        self._device = device

    def next(self, rows: int, size: int) -> Tensor:
        """Scaled Gumbel noise float32 `[rows, size]` for the next token of the first `rows` rows.

        Adding it to the logits gives the same argmax as dividing them by the temperature.
        """
        scaled = [temperature * rng.gumbel(size=size) for temperature, rng in self._draws[:rows]]
        return torch.from_numpy(np.stack(scaled).astype(np.float32)).to(self._device)
