"""An exponential moving average of a network's weights: smoother than the last step's, often better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Averages of all floating-point weights and buffers of `network`; part of a checkpoint by `state`.

    At first the decay is faster (1 - decay is at least 19 / (steps + 20)), so the initial weights are
    forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay, self._steps = network, decay, 0
        self._kept = {name: tensor.detach().clone() for name, tensor in self._weights().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Add the weights after a step."""
        self._steps += 1
        weight = 1.0 - min(self._decay, (self._steps + 1) / (self._steps + 20))
        torch._foreach_lerp_(list(self._kept.values()), list(self._weights().values()), weight)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Context manager: the network holds the averages inside the block, its own weights afterwards."""
        own = {name: tensor.detach().clone() for name, tensor in self._weights().items()}
        self._fill(self._kept)
        try:
            yield
        finally:
            self._fill(own)

    def state(self) -> dict[str, object]:
        """State for a checkpoint."""
        return {"steps": self._steps, "weights": dict(self._kept)}

    def restore(self, state: Mapping[str, object]) -> None:
        """Inverse of `state`."""
        weights = state["weights"]
        assert isinstance(weights, dict) and isinstance(state["steps"], int)
        self._steps = state["steps"]
        for name, tensor in self._kept.items():
            tensor.copy_(weights[name])

    def _weights(self) -> dict[str, Tensor]:
        return {k: v for k, v in self._network.state_dict().items() if v.is_floating_point()}

    @torch.no_grad()
    def _fill(self, weights: Mapping[str, Tensor]) -> None:
        for name, tensor in self._weights().items():
            tensor.copy_(weights[name])
