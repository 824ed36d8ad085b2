"""Units as a codec: samples -> the nearest of k centroids of a speech encoder's features; and back.

A feature of a speech encoder depends on all samples that it is given, so it depends on where a recording is
cut. Units are therefore computed in blocks of 8 s, counted from the recording's beginning, with 2 s of
context on each side: equal for a stream, a file and a batch, on any device, up to rounding. Windows whose
length is no multiple of 8 s give other units. Decoding is that of DAC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dacse_cli.codec.dac.codec import check_codes
from dacse_cli.codec.dac.network import Decoder
from dacse_cli.codec.placed import NetworkCodec
from dacse_cli.codec.units.encoder import new_encoder
from dacse_cli.codec.units.shape import BLOCK, CONTEXT, HOP, UnitsShape, read_units_shape
from dacse_cli.errors import CodecError, DeviceError, InputError
from dacse_cli.interfaces import CodecSpec, Codes, Units, Window
from dacse_cli.weights.loading import load_folder
from dacse_cli.weights.outline import outline
from dacse_cli.weights.stored import Shape


class Centroids(nn.Module):
    """Features `[..., D]` -> the nearest of `size` centroids, each dimension in its own unit of length."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(width), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(width), requires_grad=False)
        self.points = nn.Parameter(torch.zeros(size, width), requires_grad=False)

    def scaled(self, features: Tensor) -> Tensor:
        """Features of mean 0 and deviation 1 in every dimension, as far as those of the training were."""
        return (features - self.centre) / self.scale

    def forward(self, features: Tensor) -> Tensor:
        """Units `[...]`, int64."""
        near = self.scaled(features) @ self.points.t() - 0.5 * self.points.square().sum(1)
        return near.argmax(-1)


class UnitsNetwork(nn.Module):
    """Speech encoder, centroids, embedding and decoder, without gradients."""

    def __init__(self, shape: UnitsShape) -> None:
        """Weights are drawn, or empty under `outline`."""
        super().__init__()
        self.encoder = new_encoder(shape.encoder)
        self.units = Centroids(shape.size, shape.encoder.width)
        self.embedding = nn.Embedding(shape.size, shape.decoder.hidden_size)
        self.decoder = Decoder(shape.decoder.dac)
        self.eval().requires_grad_(False)


def units_shapes(shape: UnitsShape) -> dict[str, Shape]:
    """Names and shapes of the tensors of a codec of `shape`, weight norm folded."""
    with outline():
        network = UnitsNetwork(shape)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


class UnitsCodec(NetworkCodec):
    """Samples `[C, S]` <-> units `[C, 1, T]`."""

    def __init__(self, network: UnitsNetwork, spec: CodecSpec, device: str = "cpu") -> None:
        super().__init__(spec, device)
        self._network = network

    def encode_windows(self, windows: Sequence[Window]) -> list[Units]:
        """The kept units `[C, 1, kept]` of every window.

        Each is computed in blocks, counted from its first kept frame; context beyond `CONTEXT` frames is cut.
        """
        blocks = [list(_blocks(window)) for window in windows]
        found = iter(super().encode_windows([block for window in blocks for block in window]))
        return [np.concatenate([next(found) for _ in window], axis=-1) for window in blocks]

    def encode_tensor(self, samples: Tensor) -> Tensor:
        units: Tensor = self._network.units(self._network.encoder(samples))
        return units[:, None].to(torch.int16)

    def decode_tensor(self, units: Tensor, kept: slice) -> Tensor:
        latents = self._network.embedding(units[:, 0].to(torch.int64)).transpose(1, 2)
        samples = self._network.decoder(latents)[:, 0, kept.start * HOP : kept.stop * HOP]
        return F.pad(samples, (0, (kept.stop - kept.start) * HOP - samples.shape[1]))

    def check_units(self, units: NDArray[Any]) -> None:
        """Only codes that are units of this codec."""
        if units.dtype.kind == "f":
            raise InputError(f"{self.spec.name} decodes units, not latents", reason="bad-latents")
        assert isinstance(self.spec.units, Codes)
        check_codes(units, self.spec.units, self.spec.name)


def _blocks(window: Window) -> Iterator[Window]:
    """The blocks of a window, with as much context as there is up to `CONTEXT` frames."""
    for start in range(window.kept.start, window.kept.stop, BLOCK):
        stop = min(start + BLOCK, window.kept.stop)
        left = max(0, start - CONTEXT)
        data = window.data[..., left * HOP : (stop + CONTEXT) * HOP]
        yield Window(data, slice(start - left, stop - left))


def load_units(folder: Path, *, device: str = "cpu", name: str | None = None) -> UnitsCodec:
    """The codec in `folder` (config.json and safetensors), in float32 on `device`.

    Raises `CodecError` for files that are missing, damaged or of another kind, `DeviceError` for a device
    that cannot hold it.
    """
    shape = read_units_shape(folder)
    weights = load_folder(folder, units_shapes(shape), CodecError)
    with outline():
        network = UnitsNetwork(shape)
    network.load_state_dict(weights, assign=True)
    try:
        network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch: no such device, or out of memory
        raise DeviceError(f"cannot put the codec on {device}: {error}") from error
    return UnitsCodec(network.requires_grad_(False), shape.spec(name or folder.name), device)


def unit_vectors(folder: Path) -> Tensor:
    """Centroids of the units codec in `folder` `[size, D]`, every dimension scaled. Raises `CodecError`."""
    shape = read_units_shape(folder)
    return load_folder(folder, units_shapes(shape), CodecError)["units.points"]
