"""Receptive field of a DAC network: margins and lengths from kernels, strides, dilations and paddings.

Integers only, without tensors or weights. Layer lists follow Kumar et al. 2023, "High-Fidelity Audio
Compression with Improved RVQGAN" (arXiv 2306.06546), as both Descript's package and `DacModel` build it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dacse_cli.codec import receptive
from dacse_cli.codec.receptive import Layer, same

RESIDUAL_DILATIONS = (1, 3, 9)
"""Dilations of the three residual units of every block."""


def _residual_units() -> list[Layer]:
    return [same(7, dilation) for dilation in RESIDUAL_DILATIONS]


def encoder_layers(strides: Sequence[int]) -> list[Layer]:
    """The encoder's layers from samples to frames."""
    layers = [same(7)]
    for stride in strides:
        layers += [*_residual_units(), Layer(2 * stride, stride, padding=math.ceil(stride / 2))]
    return [*layers, same(3)]


def decoder_layers(strides: Sequence[int]) -> list[Layer]:
    """The decoder's layers from frames to samples; `strides` are the encoder's, used backwards."""
    layers = [same(7)]
    for stride in reversed(strides):
        layers += [Layer(2 * stride, stride, padding=math.ceil(stride / 2), transposed=True)]
        layers += _residual_units()
    return [*layers, same(7)]


def encode_margin(strides: Sequence[int]) -> int:
    """Frames of context on each side that make an encoded frame independent of what lies beyond."""
    return receptive.encode_margin(encoder_layers(strides))


def decode_tail(strides: Sequence[int]) -> int:
    """Samples that the decoder's output falls short of frames*hop: 0 unless a stride is odd.

    A transposed convolution with kernel 2s, stride s and padding ceil(s/2) yields L*s samples of L for an
    even s, one less for an odd s; later strides multiply what is missing. (2, 4, 5, 8) gives 8.
    """
    return receptive.decode_tail(decoder_layers(strides))


def decode_margin(strides: Sequence[int]) -> int:
    """Frames of context on each side that make the samples of a decoded frame independent of the rest."""
    return receptive.decode_margin(decoder_layers(strides))
