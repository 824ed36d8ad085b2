"""Adversarial losses of a network and of its discriminators; every function sums over discriminators.

A discriminator's output is a list of feature maps, the last of which is its score: high for a recording, low
for an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import relu

Features: TypeAlias = Sequence[Tensor]
KINDS = ("lsgan", "hinge")


def discriminator_loss(kind: str, real: Sequence[Features], made: Sequence[Features]) -> Tensor:
    """The discriminators' loss: recordings should give 1 (`hinge`: > 1), estimates 0 (< -1)."""
    verdicts = [(r[-1].float(), m[-1].float()) for r, m in zip(real, made, strict=True)]
    if kind == "hinge":
        return _summed(relu(1.0 - r).mean() + relu(1.0 + m).mean() for r, m in verdicts)
    return _summed((1.0 - r).square().mean() + m.square().mean() for r, m in verdicts)


def adversarial_loss(kind: str, made: Sequence[Features]) -> Tensor:
    """The network's loss: discriminators should score its estimates like recordings."""
    verdicts = [features[-1].float() for features in made]
    if kind == "hinge":
        return _summed(-m.mean() for m in verdicts)
    return _summed((1.0 - m).square().mean() for m in verdicts)


def feature_distance(real: Sequence[Features], made: Sequence[Features]) -> Tensor:
    """Sum of mean absolute differences of all feature maps but the scores. Recordings get no gradient."""
    return _summed(
        (r.detach().float() - m.float()).abs().mean()
        for a, b in zip(real, made, strict=True)
        for r, m in zip(a[:-1], b[:-1], strict=True)
    )


def halves(features: Sequence[Features]) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
    """Feature maps of the first and of the second half of the rows."""
    cut = [[feature.chunk(2) for feature in one] for one in features]
    return [[a for a, _ in one] for one in cut], [[b for _, b in one] for one in cut]


def _summed(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).sum()
