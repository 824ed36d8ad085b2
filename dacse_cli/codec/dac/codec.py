"""A DAC model as a codec: samples -> codes or latents, and back from either.

The first `T * hop - decode_tail` samples of a decode are those of one pass over the whole recording; the
tail, which transposed convolutions of odd strides do not make, is zeros, so that T frames always give T * hop
samples.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dacse_cli.codec.dac.network import DacNetwork, Network, dac_shapes
from dacse_cli.codec.dac.shape import read_shape
from dacse_cli.codec.placed import NetworkCodec
from dacse_cli.errors import CodecError, DeviceError, InputError
from dacse_cli.interfaces import CodecSpec, Codes, Latents
from dacse_cli.weights.loading import load_folder

UnitKind = Literal["codes", "latents", "quantised"]
"""`latents` are the encoder's output; `quantised` are what the decoder gets: the codes' vectors, added up."""


class DacCodec(NetworkCodec):
    """Samples `[C, S]` <-> codes `[C, K, T]`, or latents `[C, hidden_size, T]`."""

    def __init__(
        self, network: Network, spec: CodecSpec, device: str = "cpu", units: UnitKind = "codes"
    ) -> None:
        """`spec` is that of the codes."""
        latents = Latents(network.width, units == "quantised")
        self._kinds = spec.units, latents
        spec = (
            replace(spec, also=latents) if units == "codes" else replace(spec, units=latents, also=spec.units)
        )
        super().__init__(spec, device)
        self.unit_kind = units
        self._network = network

    def encode_tensor(self, samples: Tensor) -> Tensor:
        latents = self._network.encode(samples[:, None])
        if self.unit_kind == "latents":
            return latents
        codes = self._network.quantize(latents)
        return self._network.embed(codes) if self.unit_kind == "quantised" else codes.to(torch.int16)

    def decode_tensor(self, units: Tensor, kept: slice) -> Tensor:
        latents = units if units.is_floating_point() else self._network.embed(units.to(torch.int64))
        hop = self.spec.hop_length
        samples = self._network.decode(latents)[:, kept.start * hop : kept.stop * hop]
        return F.pad(samples, (0, (kept.stop - kept.start) * hop - samples.shape[1]))

    def check_units(self, units: NDArray[Any]) -> None:
        """Check before the GPU does: an index out of range would destroy its context."""
        codes, latents = self._kinds
        if units.dtype.kind != "f":
            assert isinstance(codes, Codes)
            check_codes(units, codes, self.spec.name)
        elif units.shape[1] != latents.width:
            raise InputError(
                f"latents of width {units.shape[1]}, but {self.spec.name} has {latents.width}",
                reason="bad-latents",
            )


def check_codes(codes: NDArray[Any], kind: Codes, name: str) -> None:
    """Raise `InputError` for codes `[R, K, T]` that a codec `name` of `kind` cannot decode."""
    if not 1 <= codes.shape[1] <= kind.books:
        raise InputError(f"{codes.shape[1]} codebooks, but {name} has {kind.books}", reason="bad-codes")
    if codes.size and (codes.min() < 0 or codes.max() >= kind.size):
        raise InputError(
            f"codes from {codes.min()} to {codes.max()}, but {name} has 0 to {kind.size - 1}",
            reason="bad-codes",
        )


def load_dac(
    folder: Path, *, device: str = "cpu", name: str | None = None, units: UnitKind = "codes"
) -> DacCodec:
    """The codec in `folder` (config.json and safetensors of a `DacModel`), in float32 on `device`.

    Raises `CodecError` for files that are missing, damaged or of another kind, `DeviceError` for a device
    that cannot hold it.
    """
    shape = read_shape(folder)
    weights = load_folder(folder, dac_shapes(shape), CodecError)
    return place_dac(DacNetwork(shape, weights), shape.spec(name or folder.name), device, units)


def place_dac(network: DacNetwork, spec: CodecSpec, device: str, units: UnitKind) -> DacCodec:
    """The codec of a network, on `device`. Raises `DeviceError`."""
    try:
        network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch: no such device, or out of memory
        raise DeviceError(f"cannot put the codec on {device}: {error}") from error
    return DacCodec(network, spec, device, units)
