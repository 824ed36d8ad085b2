"""Small SET networks with random weights, wide enough that their answers differ clearly."""

from __future__ import annotations

from typing import Any

import torch

from dacse_cli.set.network import SetNetwork, fresh_network
from dacse_cli.set.shape import parse_shape

K, V = 3, 11
SIZES = {"layers": 2, "width": 16, "heads": 2, "feed_forward": 24, "kernel": 5}
CONFIG: dict[str, Any] = {
    "model_type": "dacse-set",
    "codebooks": K,
    "codebook_size": V,
    "embedding_width": 12,
    "joint_width": 20,
    "encoder": SIZES,
    "predictor": {"kind": "conformer", **SIZES},
    "max_frames": 200,
    "context_before": 5,
    "context_after": 4,
}
BASELINE = {key: value for key, value in CONFIG.items() if key not in ("predictor", "joint_width")}
LSTM = CONFIG | {"predictor": {"kind": "lstm", "layers": 2, "width": 16}}
FACTORED = CONFIG | {"head_width": 8}
ATTENTION = CONFIG | {"pooling": "attention"}


def tiny_network(config: dict[str, Any] = CONFIG, seed: int = 0) -> SetNetwork:
    """A network whose every weight is random, norms and biases included."""
    network = fresh_network(parse_shape(config), seed)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=rng) * 0.3)
    return network.eval()
