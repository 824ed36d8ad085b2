"""A speech VAE as a codec: samples -> latents, and back through its vocoder.

Every row equals that of one pass over the whole recording. The vocoder computes only the kept frames and its
own margin of mel frames, not the wider margin that the autoencoder needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from dacse_cli.codec.placed import NetworkCodec
from dacse_cli.codec.vae.autoencoder import Autoencoder
from dacse_cli.codec.vae.bigvgan import BigVgan
from dacse_cli.codec.vae.griffin_lim import GriffinLim
from dacse_cli.codec.vae.mel import MelSpectrum
from dacse_cli.codec.vae.shape import HOP, GriffinLimShape, VaeShape, read_vae_shape
from dacse_cli.errors import CodecError, DeviceError, InputError
from dacse_cli.interfaces import CodecSpec
from dacse_cli.weights.loading import load_folder
from dacse_cli.weights.outline import outline
from dacse_cli.weights.stored import Shape, check_shapes


class VaeNetwork(nn.Module):
    """Autoencoder and vocoder in float32, without gradients."""

    def __init__(self, shape: VaeShape, weights: dict[str, Tensor]) -> None:
        """Build the networks of `shape` around `weights`; raises `CodecError` where they do not fit."""
        super().__init__()
        self.shape = shape
        found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        check_shapes(found, vae_shapes(shape), CodecError)
        self.autoencoder = Autoencoder(shape.autoencoder)
        self.vocoder = new_vocoder(shape)
        self.load_state_dict(weights, strict=True, assign=True)
        self.eval().requires_grad_(False)


def new_vocoder(shape: VaeShape) -> nn.Module:
    """The vocoder of a shape, its weights drawn: log-mels `[B, 80, F]` -> samples `[B, F * 256]`."""
    own = shape.vocoder
    return GriffinLim(own.griffin_lim) if isinstance(own, GriffinLimShape) else BigVgan(own)


def vae_shapes(shape: VaeShape) -> dict[str, Shape]:
    """Names and shapes of the tensors of a codec of `shape`, weight norm folded."""
    with outline():
        parts: dict[str, nn.Module] = {"autoencoder": Autoencoder(shape.autoencoder)}
        if not isinstance(shape.vocoder, GriffinLimShape):
            parts["vocoder"] = BigVgan(shape.vocoder)
    return {name: tuple(tensor.shape) for name, tensor in nn.ModuleDict(parts).state_dict().items()}


class VaeCodec(NetworkCodec):
    """Samples `[C, S]` <-> latents `[C, W, T]`."""

    def __init__(self, network: VaeNetwork, spec: CodecSpec, device: str = "cpu") -> None:
        super().__init__(spec, device)
        self._network = network
        self._mel = MelSpectrum()
        self._reduction = network.shape.autoencoder.reduction
        self._vocoder_margin = network.shape.vocoder_margin

    def encode_tensor(self, samples: Tensor) -> Tensor:
        return self._network.autoencoder.encode(self._mel(samples))

    def decode_tensor(self, units: Tensor, kept: slice) -> Tensor:
        mel = self._network.autoencoder.decode(units)
        start, stop = kept.start * self._reduction, kept.stop * self._reduction
        first = max(0, start - self._vocoder_margin)
        samples: Tensor = self._network.vocoder(mel[..., first : stop + self._vocoder_margin])
        return samples[:, (start - first) * HOP : (stop - first) * HOP]

    def check_units(self, units: NDArray[Any]) -> None:
        """Only latents of this codec's width."""
        width = self._network.shape.autoencoder.width
        if units.shape[1] != width:
            raise InputError(
                f"latents of width {units.shape[1]}, but {self.spec.name} has {width}", reason="bad-latents"
            )


def load_vae(folder: Path, *, device: str = "cpu", name: str | None = None) -> VaeCodec:
    """The codec in `folder` (config.json and safetensors), in float32 on `device`.

    Raises `CodecError` for files that are missing, damaged or of another kind, `DeviceError` for a device
    that cannot hold it.
    """
    shape = read_vae_shape(folder)
    weights = load_folder(folder, vae_shapes(shape), CodecError)
    return place_vae(VaeNetwork(shape, weights), shape.spec(name or folder.name), device)


def place_vae(network: VaeNetwork, spec: CodecSpec, device: str = "cpu") -> VaeCodec:
    """The codec of a network, on `device`. Raises `DeviceError`."""
    try:
        network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch: no such device, or out of memory
        raise DeviceError(f"cannot put the codec on {device}: {error}") from error
    return VaeCodec(network, spec, device)
