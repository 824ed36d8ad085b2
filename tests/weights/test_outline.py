"""Networks without numbers are built without torch's compiler."""

from __future__ import annotations

import subprocess
import sys
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


BUILT = """
import sys
from dacse_cli.codec.dac.network import dac_shapes
from dacse_cli.codec.dac.shape import DacShape
from dacse_cli.codec.units.codec import units_shapes
from dacse_cli.codec.units.shape import DecoderShape, UnitsShape, WhisperShape
from dacse_cli.codec.vae.codec import vae_shapes
from dacse_cli.codec.vae.shape import VaeShape
from dacse_cli.filters.mask.config import MaskConfig
from dacse_cli.filters.mask.network import MaskNetwork
from dacse_cli.set.network import SetNetwork
from dacse_cli.set.shape import MODEL_TYPE, parse_shape
from dacse_cli.training.set.sizes import sized_config
from dacse_cli.weights.outline import outline

small = sized_config("set-small") | {"model_type": MODEL_TYPE, "codebooks": 4, "codebook_size": 64}
with outline():
    for built in (
        lambda: MaskNetwork(MaskConfig()),
        lambda: SetNetwork(parse_shape(small)),
        lambda: dac_shapes(DacShape(4, 8, 16, (2, 4), 2, 16, 4, 16000)),
        lambda: units_shapes(UnitsShape(WhisperShape(1, 64, 128), 50, DecoderShape(16, 16, (10, 8, 2, 2)))),
        lambda: vae_shapes(VaeShape()),
    ):
        built()
        print("torch._dynamo" in sys.modules)
"""


def test_networks_of_every_family_are_outlined_without_the_compiler() -> None:
    """`dacse enhance --model nano` spent 2 of its first 3 seconds on the import of torch's compiler."""
    done = subprocess.run([sys.executable, "-c", BUILT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 5
