"""A speech VAE's config.json, read by an allow-list into checked, frozen dataclasses. Independent of weights.

    {"model_type": "dc-speech-vae", "autoencoder": {...}, "vocoder": {...}}

with the fields of `AutoencoderShape` and `VocoderShape`; `{"griffin_lim": 32}` is a vocoder without weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dacse_cli.codec.receptive import decode_margin, encode_margin
from dacse_cli.codec.vae.receptive import (
    autoencoder_decode_layers,
    autoencoder_encode_layers,
    bigvgan_layers,
    griffin_lim_layers,
)
from dacse_cli.errors import CodecError
from dacse_cli.files.documents import DocumentError, read_config, read_json
from dacse_cli.files.names import quoted
from dacse_cli.interfaces import CodecSpec, Latents

MODEL_TYPE = "dc-speech-vae"
SAMPLE_RATE, BANDS, HOP = 22050, 80, 256
"""Settings of the mel spectrum (see `mel.py`)."""
WINDOW_SECONDS = 16.0
"""The receptive field is about 3 s on each side; shorter windows would compute mostly context."""
_MAX_CHANNELS = 16384
_MAX_REDUCTION = 16


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise CodecError(f"{name} must be a whole number in {low}..{high}, not {value!r:.40}")


def _wholes(name: str, values: object, low: int, high: int) -> None:
    if not isinstance(values, tuple) or not 1 <= len(values) <= 12:
        raise CodecError(f"{name} must be a list of 1 to 12 numbers, not {values!r:.40}")
    for value in values:
        _whole(name, value, low, high)


@dataclass(frozen=True)
class AutoencoderShape:
    """Everything that decides the autoencoder's layers; the defaults are the released model's."""

    latent_channels: int = 16
    channels: tuple[int, ...] = (128, 256, 512, 512, 1024)
    """Of each stage; every stage but the first has half the bands and frames of the one before."""
    encoder_layers: tuple[int, ...] = (2, 2, 2, 3, 3)
    """Residual blocks of each stage."""
    decoder_layers: tuple[int, ...] = (3, 3, 3, 3, 3)

    def __post_init__(self) -> None:
        _whole("latent_channels", self.latent_channels, 1, 1024)
        _wholes("channels", self.channels, 1, _MAX_CHANNELS)
        if len(self.channels) < 2:
            raise CodecError("channels must have at least 2 stages")
        for name in ("encoder_layers", "decoder_layers"):
            _wholes(name, getattr(self, name), 1, 64)
            if len(getattr(self, name)) != len(self.channels):
                raise CodecError(f"{name} and channels differ in length")
        if BANDS % self.reduction or self.reduction > _MAX_REDUCTION:
            raise CodecError(f"{len(self.channels)} stages are more than dacse handles")
        if self.channels[-1] % self.latent_channels:
            raise CodecError("the last of channels is not a multiple of latent_channels")
        for low, high in zip(self.channels, self.channels[1:], strict=False):
            if 4 * low % high:
                raise CodecError(f"4 times {low} channels cannot be shared among {high}")

    @property
    def reduction(self) -> int:
        """Mel frames, and mel bands, per latent."""
        return 1 << min(len(self.channels) - 1, 30)

    @property
    def width(self) -> int:
        """Values per latent frame: channels times bands."""
        return self.latent_channels * (BANDS // self.reduction)

    @property
    def hop_length(self) -> int:
        """Samples per latent frame."""
        return HOP * self.reduction


@dataclass(frozen=True)
class VocoderShape:
    """Everything that decides BigVGAN's layers; the defaults are those of the released 22 kHz model."""

    channels: int = 1536
    """Before the first upsampling; each halves them."""
    strides: tuple[int, ...] = (4, 4, 2, 2, 2, 2)
    kernels: tuple[int, ...] = (8, 8, 4, 4, 4, 4)
    residual_kernels: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))

    def __post_init__(self) -> None:
        _whole("channels", self.channels, 1, _MAX_CHANNELS)
        _wholes("strides", self.strides, 2, HOP)
        _wholes("kernels", self.kernels, 2, 4 * HOP)
        _wholes("residual_kernels", self.residual_kernels, 1, 101)
        if math.prod(self.strides) != HOP:
            raise CodecError(f"the product of strides must be {HOP}, not {math.prod(self.strides)}")
        if self.channels % 2 ** len(self.strides):
            raise CodecError(f"{self.channels} channels cannot be halved {len(self.strides)} times")
        pairs = list(zip(self.strides, self.kernels, strict=False))
        if len(self.kernels) != len(self.strides) or any(k < s or (k - s) % 2 for s, k in pairs):
            raise CodecError("each of kernels must exceed its stride by an even number")
        if len(self.dilations) != len(self.residual_kernels) or not all(k % 2 for k in self.residual_kernels):
            raise CodecError("residual_kernels must be odd, with one list of dilations each")
        for one in self.dilations:
            _wholes("dilations", one, 1, 64)


@dataclass(frozen=True)
class GriffinLimShape:
    """Griffin-Lim in place of a vocoder."""

    griffin_lim: int = 32
    """Iterations."""

    def __post_init__(self) -> None:
        _whole("griffin_lim", self.griffin_lim, 1, 256)


@dataclass(frozen=True)
class VaeShape:
    """Both networks of a speech VAE."""

    autoencoder: AutoencoderShape = AutoencoderShape()
    vocoder: VocoderShape | GriffinLimShape = VocoderShape()

    @property
    def vocoder_margin(self) -> int:
        """Mel frames on each side that a mel frame's samples depend on; a multiple of 4."""
        return -(-decode_margin(self._vocoder_layers()) // 4) * 4

    def spec(self, name: str) -> CodecSpec:
        """What the rest of the program must know of a codec of this shape."""
        own = self.autoencoder
        outward = autoencoder_decode_layers(own.decoder_layers)
        return CodecSpec(
            name=name,
            sample_rate=SAMPLE_RATE,
            hop_length=own.hop_length,
            units=Latents(own.width),
            encode_margin=encode_margin(autoencoder_encode_layers(own.encoder_layers)),
            decode_margin=decode_margin([*outward, *self._vocoder_layers()]),
            window_seconds=WINDOW_SECONDS,
        )

    def config(self) -> dict[str, Any]:
        """The config.json of this shape."""
        return {"model_type": MODEL_TYPE, **asdict(self)}

    def _vocoder_layers(self) -> list[Any]:
        own = self.vocoder
        if isinstance(own, GriffinLimShape):
            return griffin_lim_layers(own.griffin_lim)
        return bigvgan_layers(own.strides, own.kernels, own.residual_kernels, own.dilations)


def read_vae_shape(path: Path) -> VaeShape:
    """The shape that a config.json, or the one in a folder, describes. Raises `CodecError`."""
    path = path / "config.json" if path.is_dir() else path
    return shape_from_config(read_config(path, CodecError), str(path))


def read_spec(folder: Path, name: str) -> CodecSpec:
    """The numbers of the codec in `folder`, without its weights. Raises `CodecError`."""
    return read_vae_shape(folder).spec(name)


def is_vae(folder: Path) -> bool:
    """Whether a folder's config.json says that it holds a speech VAE."""
    try:
        config = read_json(folder / "config.json")
    except (OSError, DocumentError):
        return False
    return isinstance(config, dict) and config.get("model_type") == MODEL_TYPE


def shape_from_config(config: object, source: str) -> VaeShape:
    """The shape in a parsed config.json; unknown keys are refused."""
    if not isinstance(config, dict) or config.get("model_type") != MODEL_TYPE:
        raise CodecError(f"{source} does not describe a {MODEL_TYPE}")
    parts = {key: value for key, value in config.items() if key != "model_type"}
    if parts.keys() - {"autoencoder", "vocoder"}:
        unknown = ", ".join(quoted(key) for key in sorted(parts.keys() - {"autoencoder", "vocoder"})[:3])
        raise CodecError(f"{source} has unknown keys: {unknown}")
    vocoder = parts.get("vocoder")
    stand_in = isinstance(vocoder, Mapping) and "griffin_lim" in vocoder
    try:
        return VaeShape(
            _part(AutoencoderShape, "autoencoder", parts.get("autoencoder")),
            _part(GriffinLimShape, "vocoder", vocoder)
            if stand_in
            else _part(VocoderShape, "vocoder", vocoder),
        )
    except CodecError as error:
        raise CodecError(f"{source}: {error}") from error


def _part(kind: Any, name: str, values: object) -> Any:
    """One dataclass of a mapping that has all of its fields and no other."""
    known = {field.name for field in fields(kind)}
    if not isinstance(values, Mapping) or set(values) != known:
        raise CodecError(f"{name} must be an object with the keys {', '.join(sorted(known))}")
    try:
        return kind(**{key: _tuples(value) for key, value in values.items()})
    except CodecError as error:
        raise CodecError(f"{name}: {error}") from error


def _tuples(value: object) -> object:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
