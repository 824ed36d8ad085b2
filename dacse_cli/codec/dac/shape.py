"""A `DacModel`'s config.json, read by an allow-list into a checked, frozen dataclass.

Independent of weights. Reads no key that could be wrong and can be derived: published snapshots carry a wrong
`hop_length`, so the hop is the product of the strides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dacse_cli.codec.dac.receptive import decode_margin, decode_tail, encode_margin
from dacse_cli.errors import CodecError
from dacse_cli.files.documents import read_config
from dacse_cli.interfaces import CodecSpec, Codes, Latents

_WIDTH = (1, 65536)
_LIMITS = {
    "encoder_hidden_size": _WIDTH,
    "decoder_hidden_size": _WIDTH,
    "hidden_size": _WIDTH,
    "n_codebooks": (1, 256),
    "codebook_size": (2, 32768),  # codes are int16
    "codebook_dim": (1, 4096),
    "sampling_rate": (1000, 768_000),
}
_MAX_HOP = 1 << 16


@dataclass(frozen=True)
class DacShape:
    """Everything that decides a DAC network's layers, and its sampling rate."""

    encoder_hidden_size: int
    decoder_hidden_size: int
    hidden_size: int
    """Channels of the latent: 1024 in most models, 128 in the 44.1 kHz one with 18 codebooks."""
    downsampling_ratios: tuple[int, ...]
    """Strides of the encoder, each at least 2 (a stride of 1 would leave the frame grid)."""
    n_codebooks: int
    codebook_size: int
    codebook_dim: int
    sampling_rate: int

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise CodecError(
                    f"codec config: {name} must be a whole number in {low}..{high}, not {value!r}"
                )
        if self.codebook_size & (self.codebook_size - 1):
            raise CodecError(f"codec config: codebook_size must be a power of two, not {self.codebook_size}")
        strides = self.downsampling_ratios
        whole = all(isinstance(s, int) and not isinstance(s, bool) and s >= 2 for s in strides)
        if not (1 <= len(strides) <= 12 and whole and math.prod(strides) <= _MAX_HOP):
            raise CodecError(
                "codec config: downsampling_ratios must be 1 to 12 whole numbers of at least 2 "
                f"whose product is at most {_MAX_HOP}, not {list(strides)!r}"
            )
        if self.decoder_hidden_size % 2 ** len(strides):
            raise CodecError(
                f"codec config: decoder_hidden_size {self.decoder_hidden_size} "
                f"cannot be halved {len(strides)} times"
            )

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return math.prod(self.downsampling_ratios)

    def spec(self, name: str) -> CodecSpec:
        """What the rest of the program must know of a codec of this shape."""
        return CodecSpec(
            name=name,
            sample_rate=self.sampling_rate,
            hop_length=self.hop_length,
            units=Codes(self.n_codebooks, self.codebook_size),
            encode_margin=encode_margin(self.downsampling_ratios),
            decode_margin=decode_margin(self.downsampling_ratios),
            decode_tail=decode_tail(self.downsampling_ratios),
            also=Latents(self.hidden_size),
        )


_DEFAULTS: dict[str, Any] = {
    # transformers' own: a config written by `to_diff_dict` may leave out what equals them
    "encoder_hidden_size": 64,
    "decoder_hidden_size": 1536,
    "downsampling_ratios": (2, 4, 8, 8),
    "n_codebooks": 9,
    "codebook_size": 1024,
    "codebook_dim": 8,
    "sampling_rate": 16000,
}


def read_shape(folder: Path) -> DacShape:
    """The shape that `folder/config.json` describes; `CodecError` says what is wrong with it."""
    path = folder / "config.json"
    return shape_from_config(read_config(path, CodecError), source=str(path))


def shape_from_config(config: dict[str, Any], *, source: str) -> DacShape:
    """The shape in a parsed config of `model_type` "dac"; all other keys are ignored."""
    if config.get("model_type") != "dac":
        raise CodecError(
            f"{source} describes model_type {config.get('model_type')!r}, not a DAC codec ('dac')"
        )
    values = {name: config.get(name, default) for name, default in _DEFAULTS.items()}
    strides = values["downsampling_ratios"]
    if not isinstance(strides, list | tuple):
        raise CodecError(f"{source}: downsampling_ratios is {strides!r}, not a list")
    values["downsampling_ratios"] = tuple(strides)
    width = values["encoder_hidden_size"]
    fallback = width << min(len(strides), 12) if isinstance(width, int) else 0
    return DacShape(hidden_size=config.get("hidden_size", fallback), **values)


def read_spec(folder: Path, name: str) -> CodecSpec:
    """The numbers of the codec in `folder`, without its weights. Raises `CodecError`."""
    return read_shape(folder).spec(name)
