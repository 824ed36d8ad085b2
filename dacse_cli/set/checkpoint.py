"""A model folder -> a network, or a `CheckpointError`; and back.

Only `config.json` and safetensors are read. Names and shapes are compared from the header, before any weight
is read; all values must be finite.
"""

from __future__ import annotations

from pathlib import Path

from dacse_cli.errors import CheckpointError
from dacse_cli.files.documents import read_config
from dacse_cli.set.network import SetNetwork
from dacse_cli.set.shape import SetShape, parse_shape
from dacse_cli.weights.loading import load_folder
from dacse_cli.weights.outline import outline
from dacse_cli.weights.saving import save_folder


def read_shape(folder: Path) -> SetShape:
    """What `folder/config.json` says. Raises `CheckpointError`."""
    return parse_shape(read_config(folder / "config.json", CheckpointError))


def load_network(folder: Path) -> SetNetwork:
    """The network in `folder`, float32 on the CPU, ready to compute. Raises `CheckpointError`."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder")
    shape = read_shape(folder)
    with outline():
        network = SetNetwork(shape)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    weights = load_folder(folder, expected, CheckpointError)
    network.to_empty(device="cpu")
    network.load_state_dict(weights)
    for side in (network.encoder, network.predictor):
        if side is not None and side.embedding is not None:
            side.embedding.set_offsets()
    return network.eval().requires_grad_(False)


def save_network(network: SetNetwork, folder: Path) -> None:
    """Write `config.json` and `model.safetensors`, float32, into `folder`. Raises `OSError`."""
    weights = {name: tensor.float() for name, tensor in network.state_dict().items()}
    save_folder(folder, network.shape.as_config(), weights)
