"""The networks behind a codec: one protocol, and DAC behind it. Knows whole tensors only, no windows."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from dacse_cli.codec.checkpoint import check_weights
from dacse_cli.codec.dac import Dac
from dacse_cli.codec.shape import DacShape


class Network(Protocol):
    """What a codec needs of its network, all on the network's device."""

    def encode(self, samples: Tensor) -> Tensor:
        """Hop-aligned samples [B, 1, T*hop] -> codes [B, K, T]."""

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, T], int64 -> samples [B, T*hop - decode_tail]."""


def dac_network(shape: DacShape, weights: dict[str, Tensor]) -> Dac:
    """The network of `shape` around `weights`, float32; raises `CodecError` where they do not fit."""
    with torch.device("meta"):
        network = Dac(shape)
    check_weights(weights, {name: tensor.shape for name, tensor in network.state_dict().items()})
    network.load_state_dict(weights, strict=True, assign=True)
    return network.eval().requires_grad_(False)
