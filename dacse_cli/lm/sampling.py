"""Drawing ids by chance instead of taking the best: for a second try at what the first got wrong.

Gumbel's way: the best of `logits / temperature + g`, with g = -ln(-ln u) for uniform u, is a draw from
softmax(logits / temperature). Each row has its own generator, so its ids do not depend on what else is in
the batch, and a seed repeats them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dacse_cli.lm.greedy import Choice


@dataclass(frozen=True)
class Draw:
    """How one row is drawn. A temperature near 0 is as good as the best id."""

    temperature: float
    seed: int


class Dice:
    """The chance of a batch whose rows, in working order, are drawn as `draws` say."""

    def __init__(self, draws: Sequence[Draw], device: torch.device) -> None:
        self._draws = [(draw.temperature, np.random.default_rng(draw.seed)) for draw in draws]
        self._device = device

    def noise(self, rows: int, size: int) -> Tensor:
        """Scaled Gumbel noise float32 `[rows, size]` for the first `rows` rows, theirs next in turn.

        Added to logits; dividing those by the temperature instead gives the same argmax.
        """
        scaled = [temperature * rng.gumbel(size=size) for temperature, rng in self._draws[:rows]]
        return torch.from_numpy(np.stack(scaled).astype(np.float32)).to(self._device)


class DrawnChoice(Choice):
    """A `Choice` that picks by chance."""

    def __init__(self, choice: Choice, dice: Dice) -> None:
        self.lo, self.head, self.embedding = choice.lo, choice.head, choice.embedding
        self._dice = dice

    def pick(self, normed: Tensor, out: Tensor) -> None:
        logits = self.head(normed).float()
        torch.argmax(logits + self._dice.noise(*logits.shape), dim=-1, out=out)
