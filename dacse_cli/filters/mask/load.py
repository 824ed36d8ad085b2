"""A mask network's folder -> a `Filter`: `config.json` and `model.safetensors`, checked before use."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from dacse_cli.errors import CheckpointError
from dacse_cli.files import documents
from dacse_cli.filters.mask.analysis import Features
from dacse_cli.filters.mask.config import HOP_SECONDS, MaskConfig
from dacse_cli.filters.mask.network import MaskNetwork
from dacse_cli.filters.mask.stream import MaskStream
from dacse_cli.registry import LoadOptions
from dacse_cli.weights.loading import load_folder
from dacse_cli.weights.outline import outline

MODEL_TYPE = "dacse-mask"
"""`model_type` in `config.json`."""
CONFIG = "config.json"


class MaskFilter:
    """A `Filter` over one trained network; streams share its weights."""

    def __init__(self, network: MaskNetwork) -> None:
        self._network = network.eval().requires_grad_(False)

    @property
    def rate(self) -> None:
        """Any sample rate."""
        return None

    @property
    def guides(self) -> int:
        """0 or 1, as the network was trained."""
        return self._network.config.guides

    @property
    def lookahead(self) -> float:
        """Seconds of lookahead: of the features, the network and the filter taps, and one window."""
        config = self._network.config
        frames = Features.future + config.future_frames + max(0, *config.filter_taps) + 2
        return frames * HOP_SECONDS

    def start(self, channels: int, rate: int) -> MaskStream:
        """A stream for one recording of `channels` channels at `rate` Hz."""
        return MaskStream(self._network, channels, rate)


def load(folder: Path, options: LoadOptions) -> MaskFilter:
    """`load_mask` with the arguments of the registry."""
    return load_mask(folder)


def load_mask(folder: Path) -> MaskFilter:
    """The filter in `folder`, on the CPU in float32. Raises `CheckpointError`."""
    return MaskFilter(load_mask_network(folder))


def load_mask_network(folder: Path) -> MaskNetwork:
    """The network in `folder`, on the CPU in float32. Raises `CheckpointError`."""
    config = read_mask_config(folder)
    with outline():
        network = MaskNetwork(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    network.load_state_dict(load_folder(folder, shapes, CheckpointError), assign=True)
    return network


def read_mask_config(folder: Path) -> MaskConfig:
    """Sizes from `config.json`; unknown keys are refused. Raises `CheckpointError`."""
    path = folder / CONFIG
    try:
        values = documents.read_json(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} cannot be read: no such file") from error
    except documents.DocumentError as error:
        raise CheckpointError(f"{path} {error}") from error
    if not isinstance(values, dict) or values.pop("model_type", None) != MODEL_TYPE:
        raise CheckpointError(f"{path} does not describe a mask network (model_type {MODEL_TYPE!r})")
    return _checked(path, values)


def mask_config_values(config: MaskConfig) -> dict[str, Any]:
    """What `config.json` of a network with these sizes holds."""
    return {"model_type": MODEL_TYPE, **asdict(config)}


def _checked(path: Path, values: dict[str, Any]) -> MaskConfig:
    known = {field.name: isinstance(field.default, tuple) for field in fields(MaskConfig)}
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise CheckpointError(f"{path}: unknown {unknown[0]!r:.80}; known are {', '.join(known)}")
    for name, value in values.items():
        parts = value if known[name] and isinstance(value, list) else [value]
        if (known[name] != isinstance(value, list)) or not all(type(part) is int for part in parts):
            kind = "a list of whole numbers" if known[name] else "a whole number"
            raise CheckpointError(f"{path}: {name} must be {kind}")
    sizes: dict[str, Any] = {name: tuple(value) if known[name] else value for name, value in values.items()}
    config = MaskConfig(**sizes)
    problems = config.problems()
    if problems:
        raise CheckpointError(f"{path}: {'; '.join(problems)}")
    return config
