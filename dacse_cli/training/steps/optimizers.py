"""Optimizers by name, and the learning rates of their weights. Rules are functions of a weight's name.

AdamW is torch's fused one on CUDA devices, where it takes one kernel instead of hundreds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn

NAMES = ("adamw", "muon")
SHARE = "share"
"""Key of a parameter group: the share of the learning rate for its weights."""
Named: TypeAlias = Iterable[tuple[str, nn.Parameter]]
Rule: TypeAlias = Callable[[str, nn.Parameter], bool]


def is_matrix(name: str, weight: nn.Parameter) -> bool:
    """The default rule for weight decay and for Muon: all but biases and gains."""
    return weight.ndim >= 2


def make_optimizers(
    name: str,
    named: Named,
    *,
    rate: float,
    betas: Sequence[float] = (0.9, 0.999),
    weight_decay: float = 0.01,
    decays: Rule = is_matrix,
    muon: Rule = is_matrix,
    share: Callable[[str, nn.Parameter], float] = lambda name, weight: 1.0,
) -> list[torch.optim.Optimizer]:
    """AdamW for all weights that require a gradient, or (`muon`) Muon for some and AdamW for the rest.

    `decays`: which weights decay. `muon`: which of two and more dimensions are Muon's. `share`: factor on the
    learning rate for weights of AdamW. Build them after the network is on its device.
    """
    listed = [(key, weight) for key, weight in named if weight.requires_grad]
    made: list[torch.optim.Optimizer] = []
    if name == "muon":
        matrices = [weight for key, weight in listed if weight.ndim >= 2 and muon(key, weight)]
        taken = {id(weight) for weight in matrices}
        listed = [(key, weight) for key, weight in listed if id(weight) not in taken]
        if matrices:
            made.append(Muon(matrices, rate, weight_decay))
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for key, weight in listed:
        place = (share(key, weight), weight_decay if decays(key, weight) else 0.0)
        groups.setdefault(place, []).append(weight)
    if groups:
        first, second = betas
        fused = all(weight.is_cuda for _, weight in listed)
        parts = [{"params": p, SHARE: s, "weight_decay": decay} for (s, decay), p in groups.items()]
        made.append(torch.optim.AdamW(parts, lr=rate, betas=(first, second), fused=fused or None))
    return made


class Muon(torch.optim.Muon):
    """torch's Muon, for convolutions too: a kernel [out, in, ...] is orthogonalised as a matrix [out, rest].

    Updates are scaled to the root mean square of AdamW's (0.2 sqrt(max(rows, columns))).
    """

    def __init__(self, weights: Sequence[nn.Parameter], rate: float, weight_decay: float) -> None:
        self._weights = list(weights)
        self._matrices = [nn.Parameter(weight.detach().flatten(1)) for weight in weights]
        super().__init__(
            self._matrices,
            lr=rate,
            weight_decay=weight_decay,
            momentum=0.95,
            adjust_lr_fn="match_rms_adamw",
        )

    def step(self, closure: Any = None) -> Any:
        """Update the weights, which share memory with the matrices."""
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        return super().step(closure)  # type: ignore[no-untyped-call]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the weights themselves."""
        super().zero_grad(set_to_none)
        for weight in self._weights:
            weight.grad = None


def set_rate(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """One learning rate for all groups, or the share of it that a group has."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get(SHARE, 1.0)


def move(optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """One step of each optimizer; gradients are cleared."""
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
