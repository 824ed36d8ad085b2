"""Optimizers by name, and the pace they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from dacse_cli.training.loop import Schedule


@dataclass(frozen=True)
class Pace:
    """The learning rate of every step: linear warm-up, then a cosine to `schedule.floor`."""

    rate: float
    steps: int
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=200, floor=0.0))

    def at(self, step: int) -> float:
        """Of step `step`, from 0."""
        return self.rate * self.schedule.factor(step, step / self.steps)


def llama_optimizers(
    model: nn.Module, name: str, rate: float, betas: Sequence[float], weight_decay: float
) -> list[torch.optim.Optimizer]:
    """AdamW for all, or (`muon`) Muon for the matrices inside the layers and AdamW for the rest.

    Vectors (gains, biases) do not decay.
    """
    named = list(model.named_parameters())
    inside = [p for key, p in named if p.ndim == 2 and ".layers." in key] if name == "muon" else []
    taken = {id(p) for p in inside}
    matrices = [p for _, p in named if p.ndim >= 2 and id(p) not in taken]
    vectors = [p for _, p in named if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    first, second = betas
    adamw = torch.optim.AdamW(groups, lr=rate, betas=(first, second))
    if not inside:
        return [adamw]
    muon = torch.optim.Muon(
        inside, lr=rate, weight_decay=weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, adamw]


def set_rate(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """One learning rate for all groups."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


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
