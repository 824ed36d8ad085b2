"""One step towards targets: gradients of several batches added up, clipped, then every optimizer steps.

For language models, SET, masks: everything with a loss and without discriminators. The docstring of the
package shows how a trainer uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from dacse_cli.training.runs.loop import Numbers
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.steps.average import Average
from dacse_cli.training.steps.optimizers import move, set_rate

Part: TypeAlias = Callable[[nn.Module], "Tensor | tuple[Tensor, Numbers]"]
"""The network -> the loss of one batch, scaled so that the losses of a step's parts add up to this process's
mean; and further numbers for the log, which are added up as well."""


class SupervisedStep:
    """A network, wrapped for several processes, its optimizers and their pace: of one stage."""

    def __init__(
        self,
        network: nn.Module,
        machine: Machine,
        optimizers: Sequence[torch.optim.Optimizer],
        pace: Pace,
        *,
        clip: float,
        average: Average | None = None,
    ) -> None:
        """`clip`: largest gradient norm. `average`: weights to keep an average of."""
        self._machine, self._optimizers, self._pace, self._clip = machine, list(optimizers), pace, clip
        self._wrapped, self._average = machine.wrap(network), average
        self._network = network

    def __call__(
        self, number: int, share: float, parts: Sequence[Part], factor: float = 1.0
    ) -> dict[str, float | Tensor]:
        """Step `number` at `share` of the stage: backward passes over `parts`, then one update.

        `factor` multiplies the learning rate (`pace.NewBob`). Returns `loss`, `rate`, `gradient` (its length
        before clipping) and what the parts have returned, without reading anything from the device.
        """
        rate = self._pace.at(number, share) * factor
        set_rate(self._optimizers, rate)
        self._wrapped.train()
        sums: dict[str, float | Tensor] = {}
        for place, part in enumerate(parts):
            with self._machine.sync_gradients(self._wrapped, last=place == len(parts) - 1):
                found = part(self._wrapped)
                loss, numbers = found if isinstance(found, tuple) else (found, {})
                loss.backward()  # type: ignore[no-untyped-call]
            for name, value in {"loss": loss.detach(), **numbers}.items():
                sums[name] = sums[name] + value if name in sums else value
        gradient = nn.utils.clip_grad_norm_(
            [p for p in self._network.parameters() if p.requires_grad], self._clip
        )
        move(self._optimizers)
        if self._average is not None:
            self._average.update()
        return {**sums, "rate": rate, "gradient": gradient.detach()}

    def state(self) -> dict[str, Any]:
        """State of optimizers and averages; the network's weights are saved by the trainer."""
        average = None if self._average is None else self._average.state()
        return {"optimizers": [optimizer.state_dict() for optimizer in self._optimizers], "average": average}

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        for optimizer, stored in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)
        if self._average is not None:
            self._average.restore(state["average"])
