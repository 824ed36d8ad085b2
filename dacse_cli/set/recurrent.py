"""An LSTM predictor one frame at a time. Axes: `R` = rows x hypotheses, `W` width."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dacse_cli.lm.linear import Linear, make_linear

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class LstmWeights:
    """An LSTM's weights in the form a step needs."""

    def __init__(self, lstm: nn.LSTM, dtype: torch.dtype) -> None:
        self.width, self.dtype = lstm.hidden_size, dtype
        self.device = next(lstm.parameters()).device
        # input and state concatenated: one product per layer
        self.gates: list[Linear] = []
        for number in range(lstm.num_layers):
            parts = [getattr(lstm, f"{name}_l{number}").detach() for name in _NAMES]
            weight, bias = torch.cat(parts[:2], dim=1), parts[2] + parts[3]
            self.gates.append(make_linear(weight.to(dtype), bias.to(dtype)))

    def begin(self, rows: int, beam: int, frames: int, masked: bool = False) -> LstmSteps:
        """The empty state."""
        return LstmSteps(self, rows, beam)


class LstmSteps:
    """`Steps` of an LSTM: state and memory float32 `[layers, R, W]`."""

    def __init__(self, weights: LstmWeights, rows: int, beam: int) -> None:
        self.weights, self.beam = weights, beam
        self.state, self.memory = torch.zeros(
            2, len(weights.gates), rows * beam, weights.width, device=weights.device
        )

    def reset(self) -> None:
        """Reset the state."""
        self.state.zero_()
        self.memory.zero_()

    def keep(self, rows: int) -> None:
        """Keep only the first `rows` rows."""
        self.state, self.memory = self.state[:, : rows * self.beam], self.memory[:, : rows * self.beam]

    def step(self, x: Tensor, parents: Tensor | None, frame: Tensor, upto: int) -> Tensor:
        """The next frame of all rows."""
        if parents is not None and self.beam > 1:
            B, N = parents.shape
            flat = (torch.arange(B, device=parents.device).unsqueeze(1) * N + parents).flatten()
            self.state.copy_(self.state.index_select(1, flat))
            self.memory.copy_(self.memory.index_select(1, flat))
        for number, gates in enumerate(self.weights.gates):
            both = torch.cat([x, self.state[number]], dim=1).to(self.weights.dtype)
            taken, kept, new, shown = gates(both).float().chunk(4, dim=1)
            memory = kept.sigmoid() * self.memory[number] + taken.sigmoid() * new.tanh()
            self.memory[number] = memory
            x = shown.sigmoid() * memory.tanh()
            self.state[number] = x
        return x
