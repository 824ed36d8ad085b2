"""Optimizers by name, and the pace they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from dacse_cli.training.loop import Schedule

SHARE = "share"
"""Key of a parameter group: the share of the learning rate it moves at."""


@dataclass(frozen=True)
class Pace:
    """The learning rate of every step: linear warm-up, then a cosine to `schedule.floor`."""

    rate: float
    steps: int
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=200, floor=0.0))

    def at(self, step: int) -> float:
        """Of step `step`, from 0."""
        return self.rate * self.schedule.factor(step, step / self.steps)


@dataclass(frozen=True)
class Slow:
    """Weights that move at `share` of the learning rate."""

    weights: Sequence[nn.Parameter]
    share: float


def llama_optimizers(
    model: nn.Module,
    name: str,
    rate: float,
    betas: Sequence[float],
    weight_decay: float,
    slow: Slow | None = None,
) -> list[torch.optim.Optimizer]:
    """AdamW for all, or (`muon`) Muon for the matrices inside the layers and AdamW for the rest.

    Vectors (gains, biases) do not decay, nor do `slow` weights of a share below 1; those are AdamW's.
    """
    slowed = list(slow.weights) if slow is not None and slow.share < 1 else []
    taken = {id(p) for p in slowed}
    named = [(key, p) for key, p in model.named_parameters() if id(p) not in taken]
    inside = [p for key, p in named if p.ndim == 2 and ".layers." in key] if name == "muon" else []
    taken |= {id(p) for p in inside}
    groups: list[dict[str, Any]] = [
        {"params": [p for _, p in named if p.ndim >= 2 and id(p) not in taken], "weight_decay": weight_decay},
        {"params": [p for _, p in named if p.ndim < 2], "weight_decay": 0.0},
    ]
    if slow is not None and slowed:
        groups.append({"params": slowed, "weight_decay": 0.0, SHARE: slow.share})
    groups = [group for group in groups if group["params"]]
    first, second = betas
    adamw = torch.optim.AdamW(groups, lr=rate, betas=(first, second))
    if not inside:
        return [adamw]
    muon = torch.optim.Muon(
        inside, lr=rate, weight_decay=weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, adamw]


def set_rate(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """One learning rate for all groups, or the share of it that a group has."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get(SHARE, 1.0)


def line(ends: Sequence[float], count: int) -> torch.Tensor:
    """`count` weights of mean 1: those given, a straight line between two, or all alike for none."""
    given = torch.tensor(list(ends) or [1.0], dtype=torch.float32)
    if len(given) == count:
        weights = given
    elif len(given) == 2:
        weights = given[0] + (given[1] - given[0]) * torch.arange(count) / max(1, count - 1)
    else:
        weights = given[:1].expand(count)
    return weights / weights.mean()
