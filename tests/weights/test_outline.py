"""Networks without numbers are built without torch's compiler."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from dacse_cli.weights.outline import outline


class Seen(TorchDispatchMode):
    """Names of the operations that reach a device."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))


def test_an_outline_draws_no_random_numbers() -> None:
    """Fails when an embedding or a rule draws normal numbers on the meta device: 1.4 s of every start."""
    with Seen() as seen, outline():
        layers = nn.ModuleList([nn.Embedding(7, 3), nn.Conv1d(3, 5, 2), nn.LSTM(5, 4), nn.LayerNorm(4)])
        for rule in (nn.init.xavier_normal_, nn.init.kaiming_uniform_, nn.init.trunc_normal_):
            rule(layers[1].weight)
    assert {tuple(p.shape) for p in layers.parameters()} >= {(7, 3), (5, 3, 2), (16, 5)}
    assert all(p.is_meta for p in layers.parameters())
    assert not [name for name in seen.names if "normal" in name]
