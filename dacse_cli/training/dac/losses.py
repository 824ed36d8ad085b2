"""What codec and discriminators minimise against each other: least squares, and distances of feature maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from dacse_cli.training.dac.discriminators import Features


def telling_apart(real: Sequence[Features], made: Sequence[Features]) -> Tensor:
    """The discriminators' loss: recordings shall be 1, reconstructions 0. Summed over networks."""
    return _summed(
        (1.0 - r[-1].float()).square().mean() + m[-1].float().square().mean()
        for r, m in zip(real, made, strict=True)
    )


def fooling(made: Sequence[Features]) -> Tensor:
    """The codec's adversarial loss: reconstructions shall be 1."""
    return _summed((1.0 - features[-1].float()).square().mean() for features in made)


def feature_distance(real: Sequence[Features], made: Sequence[Features]) -> Tensor:
    """Mean absolute differences of all feature maps but the verdicts, summed. Recordings get no gradient."""
    return _summed(
        (r.detach().float() - m.float()).abs().mean()
        for a, b in zip(real, made, strict=True)
        for r, m in zip(a[:-1], b[:-1], strict=True)
    )


def _summed(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).sum()
