"""One step of a network against discriminators, or without them: codecs, autoencoders, vocoders.

The network's `forward` takes a batch and returns a `Made`; its further losses are functions of estimate and
target. All losses are weighted by name: `features` and `adversarial` come from the discriminators. The weight
of a relative loss is the norm of its gradient relative to that of all other losses together, independent of
its scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from dacse_cli.training.losses.adversarial import (
    adversarial_loss,
    discriminator_loss,
    feature_distance,
    halves,
)
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.steps.optimizers import move, set_rate

Losses: TypeAlias = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
"""(estimate, target) -> scalars by name."""


@dataclass(frozen=True)
class Made:
    """A network's output for a batch."""

    estimate: Tensor
    """[B, ...], the input of the discriminators."""
    target: Tensor
    """[B, ...], the target."""
    losses: Mapping[str, Tensor] = field(default_factory=dict)
    """Losses computed in the forward pass, as scalars (commitment)."""
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    """Further outputs for the trainer (codes)."""


@dataclass(frozen=True)
class AdversarialOptions:
    """Settings of both sides' updates."""

    weights: Mapping[str, float]
    """Weights of the network's losses; every loss must have one."""
    relative: Mapping[str, float] = field(default_factory=dict)
    """Weights of relative losses."""
    kind: str = "lsgan"
    """`lsgan` or `hinge`."""
    discriminators_first: bool = True
    """Discriminators are updated before the network, which then uses the updated ones; else after it."""
    clip: float = 1000.0
    """Largest gradient norm of the network,"""
    clip_discriminators: float = 10.0
    """and of the discriminators'."""
    bf16: bool = False
    """Discriminators compute in bfloat16; the network decides for itself."""


class AdversarialStep:
    """A network, its discriminators if any, all optimizers and their pace: of one stage."""

    def __init__(
        self,
        network: nn.Module,
        discriminators: nn.Module | None,
        machine: Machine,
        options: AdversarialOptions,
        optimizers: Sequence[torch.optim.Optimizer],
        discriminator_optimizers: Sequence[torch.optim.Optimizer],
        pace: Pace,
        *,
        losses: Losses,
        relative: Losses | None = None,
    ) -> None:
        """`discriminators`: [2 B, ...] -> feature maps of each (see `losses.adversarial`)."""
        self._network, self._discriminators, self._machine = network, discriminators, machine
        self._options, self._pace, self._losses, self._relative = options, pace, losses, relative
        self._optimizers = [list(optimizers), list(discriminator_optimizers)]
        self._wrapped = machine.wrap(network)
        if discriminators is not None:
            discriminators.requires_grad_(True)
            self._wrapped_discriminators = machine.wrap(discriminators)

    def __call__(self, number: int, share: float, batch: Any) -> tuple[dict[str, float | Tensor], Made]:
        """Step `number` at `share` of the stage: both sides learn from `batch`.

        Returns the losses by name (unweighted), `loss`, `discriminator`, `rate` and `gradient`, without
        reading anything from the device.
        """
        rate = self._pace.at(number, share)
        for optimizers in self._optimizers:
            set_rate(optimizers, rate)
        self._wrapped.train()
        made: Made = self._wrapped(batch)
        judged: dict[str, float | Tensor] = {}
        if self._discriminators is not None and self._options.discriminators_first:
            judged = {"discriminator": self._judge(made)}
        loss, losses = self._loss(made)
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = nn.utils.clip_grad_norm_(_trained(self._network), self._options.clip)
        move(self._optimizers[0])
        if self._discriminators is not None and not self._options.discriminators_first:
            judged = {"discriminator": self._judge(made)}
        measured = {name: value.detach() for name, value in losses.items()}
        numbers = {**measured, **judged, "loss": loss.detach(), "rate": rate, "gradient": gradient.detach()}
        return numbers, made

    def state(self) -> dict[str, Any]:
        """State of all optimizers; the weights of both sides are saved by the trainer."""
        return {"optimizers": [[o.state_dict() for o in optimizers] for optimizers in self._optimizers]}

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        for optimizers, stored in zip(self._optimizers, state["optimizers"], strict=True):
            for optimizer, one in zip(optimizers, stored, strict=True):
                optimizer.load_state_dict(one)

    def _loss(self, made: Made) -> tuple[Tensor, dict[str, Tensor]]:
        """The network's loss, and its terms."""
        losses = {**made.losses, **self._losses(made.estimate, made.target)}
        if self._discriminators is not None:
            losses |= self._verdict(made)
        loss = torch.stack([self._options.weights[name] * value for name, value in losses.items()]).sum()
        if self._relative is not None:
            term, relative = self._relative_term(loss, made)
            loss, losses = loss + term, losses | relative
        return loss, losses

    def _relative_term(self, loss: Tensor, made: Made) -> tuple[Tensor, dict[str, Tensor]]:
        """A term whose gradient by the estimate is that of the relative losses, all rows of equal length.

        (The gradient of a pause is steep, so rows would otherwise be unequal.) Its value has no meaning.
        """
        assert self._relative is not None
        (others,) = torch.autograd.grad(loss, made.estimate, retain_graph=True)
        estimate = made.estimate.detach().requires_grad_()
        term, losses = loss.new_zeros(()), dict(self._relative(estimate, made.target))
        for name, value in losses.items():
            (pull,) = torch.autograd.grad(value, estimate, retain_graph=True)
            lengths = pull.flatten(1).norm(dim=1).clamp(min=1e-9) * math.sqrt(len(pull))
            pull = pull / lengths.view(-1, *[1] * (pull.ndim - 1))
            term = term + self._options.relative[name] * others.norm() * (made.estimate * pull).sum()
        return term - term.detach(), losses

    def _judge(self, made: Made) -> Tensor:
        """One step of the discriminators; their loss."""
        assert self._discriminators is not None
        self._discriminators.requires_grad_(True)
        self._wrapped_discriminators.train()
        with self._machine.autocast(self._options.bf16):
            features = self._wrapped_discriminators(torch.cat([made.target, made.estimate.detach()]))
        loss = discriminator_loss(self._options.kind, *halves(features))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._discriminators.parameters(), self._options.clip_discriminators)
        move(self._optimizers[1])
        return loss.detach()

    def _verdict(self, made: Made) -> dict[str, Tensor]:
        """The network's losses from the discriminators, which get no gradient."""
        assert self._discriminators is not None
        self._discriminators.requires_grad_(False)
        with self._machine.autocast(self._options.bf16):
            features = self._discriminators(torch.cat([made.target, made.estimate]))
        real, estimated = halves(features)
        return {
            "features": feature_distance(real, estimated),
            "adversarial": adversarial_loss(self._options.kind, estimated),
        }


def _trained(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]
