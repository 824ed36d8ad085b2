"""The published files of DC-Speech-VAE and BigVGAN as a codec.

`generator_700000.pt` of `KdaiP/DC-Speech-VAE` is a bare state dict (weight norm as parametrizations, names
behind `model.`); `bigvgan_generator.pt` of `nvidia/bigvgan_v2_22khz_80band_256x` holds one under `generator`
(old weight norm). Both are read without unpickling. Their shapes are the released ones; those of a folder
with config.json and safetensors are what its config says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dacse_cli.codec.vae.codec import VaeCodec, VaeNetwork, place_vae, vae_shapes
from dacse_cli.codec.vae.shape import AutoencoderShape, VaeShape, VocoderShape
from dacse_cli.errors import CodecError
from dacse_cli.files.documents import read_config
from dacse_cli.weights.loading import load_tensors
from dacse_cli.weights.safetensors_file import find_tensors, read_tensors
from dacse_cli.weights.saving import save_folder
from dacse_cli.weights.stored import HasShape
from dacse_cli.weights.torch_file import TorchFile, TorchTensor

if TYPE_CHECKING:
    from torch import Tensor

VOCODER = "bigvgan_generator.pt"
"""Name of the published vocoder's weights."""
_FILTERS = (".upsample.filter", ".downsample.lowpass.filter")
"""Constants that the published vocoder stores with every activation."""
_FIXED: Mapping[str, Any] = {
    "in_channels": 1, "upsample_block_type": "interpolate", "downsample_block_type": "Conv",
    "decoder_norm_types": "rms_norm", "decoder_act_fns": "silu", "encoder_out_shortcut": True,
    "decoder_in_shortcut": True, "decoder_conv_act_fn": "relu",
}  # fmt: skip
_VOCODER_FIXED: Mapping[str, Any] = {
    "resblock": "1", "use_tanh_at_final": False, "use_bias_at_final": False, "activation": "snakebeta",
    "snake_logscale": True, "num_mels": 80, "n_fft": 1024, "hop_size": 256, "win_size": 1024,
    "sampling_rate": 22050, "fmin": 0,
}  # fmt: skip
Read = Callable[[Iterable[str]], "dict[str, Tensor]"]


class Published:
    """The tensors of both published files under our names; none is read before it is asked for."""

    def __init__(self, autoencoder: Path, vocoder: Path) -> None:
        """Each a `.pt` file, or a folder with config.json and safetensors. Raises `CodecError`."""
        own, other = _Source(autoencoder, ""), _Source(vocoder, "generator")
        self.shape = VaeShape(autoencoder_shape(own.config), vocoder_shape(other.config))
        self._places: dict[str, tuple[_Source, str]] = {}
        for key in own.tensors:
            self._places["autoencoder." + key.removeprefix("model.")] = own, key
        for key in other.tensors:
            if not key.endswith(_FILTERS):
                self._places["vocoder." + key] = other, key

    @property
    def tensors(self) -> dict[str, HasShape]:
        """Types and shapes by our names, weight norm not folded."""
        return {name: source.tensors[key] for name, (source, key) in self._places.items()}

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Tensors by our names."""
        by_source: dict[_Source, dict[str, str]] = {}
        for name in names:
            source, key = self._places[name]
            by_source.setdefault(source, {})[key] = name
        return {
            own[key]: tensor
            for source, own in by_source.items()
            for key, tensor in source.read(list(own)).items()
        }


def load_published(path: Path, *, device: str = "cpu", name: str | None = None) -> VaeCodec:
    """The codec of the published autoencoder `path` and the `bigvgan_generator.pt` beside it.

    Raises `CodecError` for a file that is missing, damaged or of another model, `DeviceError`.
    """
    found = Published(path, path.with_name(VOCODER))
    weights = load_tensors(found.tensors, found.read, vae_shapes(found.shape), CodecError)
    return place_vae(VaeNetwork(found.shape, weights), found.shape.spec(name or path.stem), device)


def convert(files: Sequence[Path], folder: Path) -> None:
    """The published autoencoder and vocoder, weight norm folded, as config.json and safetensors in `folder`.

    Raises `CodecError` for a file that is damaged or of another model, `OSError`.
    """
    autoencoder, vocoder = files
    found = Published(autoencoder, vocoder)
    weights = load_tensors(found.tensors, found.read, vae_shapes(found.shape), CodecError)
    save_folder(folder, found.shape.config(), weights)


def autoencoder_shape(config: Mapping[str, Any]) -> AutoencoderShape:
    """The shape in a config of `AutoencoderDC`; raises `CodecError` for other layers than ours."""
    if not config:
        return AutoencoderShape()
    _check(config, _FIXED, "the autoencoder's config")
    channels = _list(config, "encoder_block_out_channels")
    kinds = {str(kind) for side in ("encoder", "decoder") for kind in _list(config, f"{side}_block_types")}
    attention = [*_list(config, "encoder_qkv_multiscales"), *_list(config, "decoder_qkv_multiscales")]
    if kinds - {"ResBlock"} or any(attention) or channels != _list(config, "decoder_block_out_channels"):
        raise CodecError("the autoencoder's config describes other layers than DC-Speech-VAE's")
    return AutoencoderShape(
        latent_channels=config.get("latent_channels", 0),
        channels=channels,
        encoder_layers=_list(config, "encoder_layers_per_block"),
        decoder_layers=_list(config, "decoder_layers_per_block"),
    )


def vocoder_shape(config: Mapping[str, Any]) -> VocoderShape:
    """The shape in a config of BigVGAN; raises `CodecError` for another spectrum or other layers."""
    if not config:
        return VocoderShape()
    _check(config, _VOCODER_FIXED, "the vocoder's config")
    return VocoderShape(
        channels=config.get("upsample_initial_channel", 0),
        strides=_list(config, "upsample_rates"),
        kernels=_list(config, "upsample_kernel_sizes"),
        residual_kernels=_list(config, "resblock_kernel_sizes"),
        dilations=tuple(
            tuple(one) if isinstance(one, list) else () for one in _list(config, "resblock_dilation_sizes")
        ),
    )


class _Source:
    """One published model: its config and tensors."""

    def __init__(self, path: Path, key: str) -> None:
        folder = path if path.is_dir() else path.parent
        self.config = _config(folder) if path.is_dir() else {}
        if path.is_dir():
            stored = find_tensors(path, CodecError)
            self.tensors: Mapping[str, HasShape] = stored
            self.read: Read = lambda names: read_tensors(stored, names, CodecError)
            return
        file = TorchFile(path, CodecError)
        content = file.content.get(key) if key and isinstance(file.content, dict) else file.content
        if not isinstance(content, dict) or not all(isinstance(v, TorchTensor) for v in content.values()):
            raise CodecError(f"{path} does not hold the weights it should: one table of tensors")
        tensors: dict[str, TorchTensor] = {str(name): tensor for name, tensor in content.items()}
        self.tensors = tensors
        self.read = lambda names: file.read(tensors, names)


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / "config.json"
    return read_config(path, CodecError) if path.exists() else {}


def _list(config: Mapping[str, Any], key: str) -> tuple[Any, ...]:
    value = config.get(key)
    if not isinstance(value, list):
        raise CodecError(f"the config has no list {key}")
    return tuple(value)


def _check(config: Mapping[str, Any], fixed: Mapping[str, Any], what: str) -> None:
    for key, value in fixed.items():
        if key in config and config[key] != value:
            raise CodecError(f"{what} has {key} {config[key]!r:.40}; dacse supports {value!r} only")
