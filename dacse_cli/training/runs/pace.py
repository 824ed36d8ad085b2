"""The learning rate of a stage, by step or by time. Numbers only; imports no torch.

All factors are multiplied: a linear warm-up over the first steps, a cosine over the whole stage, an
exponential decay per step, a linear tail at the end. A schedule uses the factors it specifies. Shares of a
stage are of its steps or, where a stage ends by the clock (`StagePlan.minutes`), of its time; the loop knows
which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """The learning rate of every step of one stage."""

    rate: float
    """The highest learning rate."""
    warm_up: int = 0
    """Steps of a linear rise to it."""
    cosine: float | None = None
    """A cosine from 1 down to this share of the rate; None: none."""
    decay: float = 1.0
    """Multiplied in once per step."""
    tail: float = 0.0
    """Final share of the stage in which the rate falls linearly to a hundredth."""

    def at(self, step: int, share: float) -> float:
        """The rate of step `step` (from 0) when `share` of the stage (0 to 1) has passed."""
        share = min(1.0, max(0.0, share))
        factor = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        if self.cosine is not None:
            factor *= self.cosine + (1.0 - self.cosine) * 0.5 * (1.0 + math.cos(math.pi * share))
        if self.tail:
            factor *= min(1.0, max(0.01, (1.0 - share) / self.tail))
        return self.rate * factor * math.exp(step * math.log(self.decay))


@dataclass
class NewBob:
    """A factor on the learning rate that falls when validation stops improving. Part of a checkpoint.

    `improvement` is relative to the loss before; after `patience` validations below it (whether or not they
    follow each other, as in SpeechBrain) the next one multiplies the factor by `shrink`.
    """

    improvement: float = 0.0025
    shrink: float = 0.9
    patience: int = 1
    factor: float = 1.0
    last: float | None = None
    waited: int = 0

    def see(self, loss: float) -> float:
        """Add a validation loss; returns the new factor."""
        if self.last is not None and (self.last - loss) / max(abs(self.last), 1e-12) < self.improvement:
            self.waited += 1
            if self.waited > self.patience:
                self.factor, self.waited = self.factor * self.shrink, 0
        self.last = loss
        return self.factor
