"""Descript's own weights files (`weights_44khz_8kbps_0.0.1.pth`) as the shape and tensors of a DAC network.

Describes the layout of the file and the names in it. Descript's package is not needed and not used to
read the file: it would first try it as a `torch.package`, which executes what it holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dacse_cli.codec.dac.codec import DacCodec, UnitKind, place_dac
from dacse_cli.codec.dac.network import DacNetwork, dac_shapes
from dacse_cli.codec.dac.shape import DacShape
from dacse_cli.errors import CodecError
from dacse_cli.weights.loading import load_tensors
from dacse_cli.weights.torch_file import TorchFile, TorchTensor

_UNIT = ("snake1", "conv1", "snake2", "conv2")
_KEYS = ("encoder_dim", "encoder_rates", "decoder_dim", "decoder_rates", "n_codebooks", "codebook_size",
         "codebook_dim", "sample_rate")  # fmt: skip


def load_descript(
    path: Path, *, device: str = "cpu", name: str | None = None, units: UnitKind = "codes"
) -> DacCodec:
    """The codec in a weights file. Raises `CodecError` (a file of another kind, damaged), `DeviceError`."""
    file = TorchFile(path, CodecError)
    content = file.content if isinstance(file.content, dict) else {}
    metadata, state = content.get("metadata"), content.get("state_dict")
    if not (isinstance(metadata, dict) and isinstance(state, dict)):
        raise CodecError(f"{path} is not a weights file of Descript's: it has no metadata and state_dict")
    shape = descript_shape(metadata.get("kwargs"))
    if not all(isinstance(tensor, TorchTensor) for tensor in state.values()):
        raise CodecError(f"{path} is not a weights file of Descript's: it holds more than tensors")
    found = {port_name(key, len(shape.downsampling_ratios)): tensor for key, tensor in state.items()}
    weights = load_tensors(found, lambda names: file.read(found, names), dac_shapes(shape), CodecError)
    return place_dac(DacNetwork(shape, weights), shape.spec(name or path.stem), device, units)


def descript_shape(kwargs: object) -> DacShape:
    """The shape in the `metadata["kwargs"]` of a weights file. Raises `CodecError`."""
    if not isinstance(kwargs, Mapping) or any(key not in kwargs for key in _KEYS):
        raise CodecError(f"the weights file does not describe a DAC model by {', '.join(_KEYS)}")
    strides = kwargs["encoder_rates"]
    if not isinstance(strides, list) or kwargs["decoder_rates"] != strides[::-1]:
        raise CodecError("the weights file has decoder_rates that do not mirror its encoder_rates")
    width: Any = kwargs["encoder_dim"]
    derived = width << min(len(strides), 12) if isinstance(width, int) else 0
    return DacShape(
        encoder_hidden_size=width,
        decoder_hidden_size=kwargs["decoder_dim"],
        hidden_size=kwargs.get("latent_dim") or derived,
        downsampling_ratios=tuple(strides),
        n_codebooks=kwargs["n_codebooks"],
        codebook_size=kwargs["codebook_size"],
        codebook_dim=kwargs["codebook_dim"],
        sampling_rate=kwargs["sample_rate"],
    )


def port_name(name: str, blocks: int) -> str:
    """A tensor's name in Descript's package -> in `transformers`: positions in a `Sequential` become words.

    `blocks` is the number of strides. Names of no known form come back unchanged.
    """
    if found := re.fullmatch(r"encoder\.block\.(\d{1,2})\.block\.([0-2])\.block\.([0-3])\.(.*)", name):
        block, unit, layer, rest = found.groups()
        return f"encoder.block.{int(block) - 1}.res_unit{int(unit) + 1}.{_UNIT[int(layer)]}.{rest}"
    if found := re.fullmatch(r"encoder\.block\.(\d{1,2})\.block\.([34])\.(.*)", name):
        block, layer, rest = found.groups()
        return f"encoder.block.{int(block) - 1}.{'snake1' if layer == '3' else 'conv1'}.{rest}"
    if found := re.fullmatch(r"decoder\.model\.(\d{1,2})\.block\.([2-4])\.block\.([0-3])\.(.*)", name):
        block, unit, layer, rest = found.groups()
        return f"decoder.block.{int(block) - 1}.res_unit{int(unit) - 1}.{_UNIT[int(layer)]}.{rest}"
    if found := re.fullmatch(r"decoder\.model\.(\d{1,2})\.block\.([01])\.(.*)", name):
        block, layer, rest = found.groups()
        return f"decoder.block.{int(block) - 1}.{'snake1' if layer == '0' else 'conv_t1'}.{rest}"
    if found := re.fullmatch(r"(encoder|decoder)\.(?:block|model)\.(\d{1,2})\.(.*)", name):
        side, layer, rest = found.groups()
        word = {0: "conv1", blocks + 1: "snake1", blocks + 2: "conv2"}.get(int(layer))
        return f"{side}.{word}.{rest}" if word else name
    return name
