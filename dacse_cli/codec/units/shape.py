"""A units codec's config.json, read by an allow-list into checked, frozen dataclasses. Knows no weights.

    {"model_type": "dacse-units", "encoder": {"kind": "whisper", ...}, "size": 500, "decoder": {...}}

`encoder` has the fields of `WhisperShape` or `SpeechShape`, `decoder` those of `DecoderShape`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dacse_cli.codec.dac.receptive import decode_margin, decode_tail
from dacse_cli.codec.dac.shape import DacShape
from dacse_cli.errors import CodecError
from dacse_cli.files.documents import DocumentError, read_config, read_json
from dacse_cli.files.names import quoted
from dacse_cli.interfaces import CodecSpec, Codes

MODEL_TYPE = "dacse-units"
SAMPLE_RATE, HOP = 16_000, 320
"""Of all speech encoders here: 50 frames per second."""
BLOCK, CONTEXT = 400, 100
"""Frames whose units are computed together (8 s), and frames on each side as their context (2 s)."""
HEAD_WIDTH = 64
"""Width of an attention head in every Whisper."""


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise CodecError(f"{name} must be a whole number in {low}..{high}, not {value!r:.40}")


@dataclass(frozen=True)
class WhisperShape:
    """Whisper's encoder up to one layer."""

    layer: int
    """Layers that there are; the last one's output makes the features."""
    width: int
    inner: int
    """Width inside the feed-forward parts."""
    bands: int = 80
    """Of the mel spectrogram."""
    positions: int = 1500
    """Longest input in frames."""
    kind: str = "whisper"

    def __post_init__(self) -> None:
        for name, high in (("layer", 64), ("width", 8192), ("inner", 1 << 15), ("bands", 256)):
            _whole(name, getattr(self, name), 1, high)
        _whole("positions", self.positions, BLOCK + 2 * CONTEXT, 1 << 15)
        if self.width % HEAD_WIDTH:
            raise CodecError(f"width must be a multiple of {HEAD_WIDTH}, not {self.width}")

    @property
    def heads(self) -> int:
        """Attention heads."""
        return self.width // HEAD_WIDTH


@dataclass(frozen=True)
class SpeechShape:
    """HuBERT or WavLM up to one layer; names and defaults are those of `transformers`' configs."""

    kind: str
    layer: int
    """Layers that there are; the last one's output, before any closing norm, makes the features."""
    normalise: bool = False
    """Whether samples are brought to mean 0 and variance 1 (`do_normalize` of its feature extractor)."""
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_attention_heads: int = 12
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-5
    feat_extract_norm: str = "group"
    feat_proj_layer_norm: bool = True
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_bias: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    do_stable_layer_norm: bool = False
    num_buckets: int = 320
    max_bucket_distance: int = 800

    def __post_init__(self) -> None:
        if self.kind not in ("hubert", "wavlm"):
            raise CodecError(f"kind must be whisper, hubert or wavlm, not {quoted(self.kind)}")
        limits = {
            "layer": 64, "hidden_size": 8192, "intermediate_size": 1 << 15, "num_attention_heads": 256,
            "num_conv_pos_embeddings": 1024, "num_conv_pos_embedding_groups": 1024,
            "num_buckets": 1 << 12, "max_bucket_distance": 1 << 16,
        }  # fmt: skip
        for name, high in limits.items():
            _whole(name, getattr(self, name), 1, high)
        for name in ("normalise", "feat_proj_layer_norm", "conv_bias", "do_stable_layer_norm"):
            if not isinstance(getattr(self, name), bool):
                raise CodecError(f"{name} must be true or false")
        if not isinstance(self.layer_norm_eps, float) or not 0 < self.layer_norm_eps < 1:
            raise CodecError("layer_norm_eps must lie between 0 and 1")
        if self.hidden_act not in ("gelu", "relu") or self.feat_extract_norm not in ("group", "layer"):
            raise CodecError("hidden_act must be gelu or relu, feat_extract_norm group or layer")
        if (
            self.hidden_size % self.num_attention_heads
            or self.hidden_size % self.num_conv_pos_embedding_groups
        ):
            raise CodecError("hidden_size must be a multiple of its attention heads and position groups")
        self._check_convolutions()

    def _check_convolutions(self) -> None:
        layers = len(self.conv_stride) if isinstance(self.conv_stride, tuple) else 0
        for name, high in (("conv_dim", 8192), ("conv_stride", HOP), ("conv_kernel", 4 * HOP)):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not 1 <= layers == len(values) <= 16:
                raise CodecError("conv_dim, conv_stride and conv_kernel must be lists of one length up to 16")
            for value in values:
                _whole(name, value, 1, high)
        if math.prod(self.conv_stride) != HOP or self.reach < HOP:
            raise CodecError(f"a frame must come every {HOP} samples, out of as many or more")

    @property
    def reach(self) -> int:
        """Samples that the convolutions of one frame see."""
        reach = 1
        for kernel, stride in zip(reversed(self.conv_kernel), reversed(self.conv_stride), strict=True):
            reach = (reach - 1) * stride + kernel
        return reach

    @property
    def width(self) -> int:
        """Values of a feature."""
        return self.hidden_size

    def transformers_config(self) -> dict[str, Any]:
        """The keys of `transformers`' config; no masking, no dropped layers."""
        own = {
            name: value for name, value in asdict(self).items() if name not in ("kind", "layer", "normalise")
        }
        lists = {name: list(value) for name, value in own.items() if isinstance(value, tuple)}
        off = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0, "layerdrop": 0.0, "apply_spec_augment": False}
        return own | lists | off | {"num_hidden_layers": self.layer}


EncoderShape = WhisperShape | SpeechShape


@dataclass(frozen=True)
class DecoderShape:
    """The decoder of a DAC network; names are those of its config."""

    hidden_size: int
    """Width of a unit's embedding."""
    decoder_hidden_size: int
    downsampling_ratios: tuple[int, ...]
    """Strides, used backwards; their product is 320."""

    def __post_init__(self) -> None:
        if not isinstance(self.downsampling_ratios, tuple):
            raise CodecError("downsampling_ratios must be a list")
        if self.dac.hop_length != HOP:
            raise CodecError(f"the product of downsampling_ratios must be {HOP}, not {self.dac.hop_length}")

    @property
    def dac(self) -> DacShape:
        """A DAC network with this decoder; the rest is as small as can be. Raises `CodecError`."""
        return DacShape(
            1, self.decoder_hidden_size, self.hidden_size, self.downsampling_ratios, 1, 2, 1, SAMPLE_RATE
        )


@dataclass(frozen=True)
class UnitsShape:
    """Everything that decides the networks of a units codec."""

    encoder: EncoderShape
    size: int
    """Number of units."""
    decoder: DecoderShape

    def __post_init__(self) -> None:
        _whole("size", self.size, 2, 32768)  # codes are int16

    def spec(self, name: str) -> CodecSpec:
        """What the rest of the program must know of a codec of this shape.

        A margin of a whole block makes windows begin at multiples of a block; of the margin, `CONTEXT` frames
        are used.
        """
        strides = self.decoder.downsampling_ratios
        return CodecSpec(
            name=name,
            sample_rate=SAMPLE_RATE,
            hop_length=HOP,
            units=Codes(1, self.size),
            encode_margin=BLOCK,
            decode_margin=decode_margin(strides),
            decode_tail=decode_tail(strides),
            window_seconds=BLOCK * HOP / SAMPLE_RATE,
        )

    def config(self) -> dict[str, Any]:
        """The config.json of this shape."""
        return {"model_type": MODEL_TYPE, **asdict(self)}


def read_units_shape(folder: Path) -> UnitsShape:
    """The shape that `folder/config.json` describes. Raises `CodecError`."""
    path = folder / "config.json"
    return shape_from_config(read_config(path, CodecError), str(path))


def read_spec(folder: Path, name: str) -> CodecSpec:
    """The numbers of the codec in `folder`, without its weights. Raises `CodecError`."""
    return read_units_shape(folder).spec(name)


def is_units(folder: Path) -> bool:
    """Whether a folder's config.json says that it holds a units codec."""
    try:
        config = read_json(folder / "config.json")
    except (OSError, DocumentError):
        return False
    return isinstance(config, dict) and config.get("model_type") == MODEL_TYPE


def shape_from_config(config: object, source: str) -> UnitsShape:
    """The shape in a parsed config.json; unknown keys are refused. Raises `CodecError`."""
    if not isinstance(config, dict) or config.get("model_type") != MODEL_TYPE:
        raise CodecError(f"{source} does not describe a units codec (model_type {MODEL_TYPE!r})")
    keys = {"model_type", "encoder", "size", "decoder"}
    for wrong, says in ((keys - config.keys(), "lacks"), (config.keys() - keys, "has unknown keys:")):
        if wrong:
            raise CodecError(f"{source} {says} {', '.join(quoted(key) for key in sorted(wrong)[:3])}")
    encoder = config["encoder"]
    whisper = isinstance(encoder, Mapping) and encoder.get("kind") == "whisper"
    try:
        return UnitsShape(
            _part(WhisperShape if whisper else SpeechShape, "encoder", encoder),
            config["size"],
            _part(DecoderShape, "decoder", config["decoder"]),
        )
    except CodecError as error:
        raise CodecError(f"{source}: {error}") from error


def _part(kind: Any, name: str, values: object) -> Any:
    """One dataclass of a mapping that has all of its fields and no other."""
    known = {field.name for field in fields(kind)}
    if not isinstance(values, Mapping) or set(values) != known:
        raise CodecError(f"{name} must be an object with the keys {', '.join(sorted(known))}")
    try:
        return kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})
    except CodecError as error:
        raise CodecError(f"{name}: {error}") from error
