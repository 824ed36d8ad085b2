"""How far a DAC network sees: margins and lengths from kernels, strides, dilations and paddings.

Integers only: knows no tensors and no weights. Layer lists follow Kumar et al. 2023, "High-Fidelity Audio
Compression with Improved RVQGAN" (arXiv 2306.06546), as both Descript's package and `DacModel` build it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    """Frames of context on each side that make an encoded frame independent of what lies beyond.

    A frame t sees samples t*hop + first .. t*hop + last. With every stride at least 2 each stage divides a
    hop-aligned length exactly, so positions inside a window are those of the whole file, shifted.
    """
    first, last = 0, 0
    for layer in reversed(encoder_layers(strides)):
        first, last = layer.input_span(first, last)
    hop = math.prod(strides)
    return max(math.ceil(-first / hop), math.ceil((last + 1) / hop) - 1)


def decode_tail(strides: Sequence[int]) -> int:
    """Samples that the decoder's output falls short of frames*hop: 0 unless a stride is odd.

    A transposed convolution with kernel 2s, stride s and padding ceil(s/2) yields L*s samples of L for an
    even s, one less for an odd s; later strides multiply what is missing. (2, 4, 5, 8) gives 8.
    """
    missing = 0
    for stride in reversed(strides):
        missing = missing * stride + stride % 2
    return missing


def decode_margin(strides: Sequence[int]) -> int:
    """Frames of context on each side that make the samples of a decoded frame independent of the rest.

    Walks from the samples of frame 0 back to frames. At every level (c positions a frame) the positions seen
    must exist inside the window, whose level is `missing` positions short of a whole number of frames.
    """
    layers = decoder_layers(strides)
    per_frame, missing = [1], [0]  # at the input of each layer
    for layer in layers:
        odd = layer.stride % 2 if layer.transposed else 0
        per_frame.append(per_frame[-1] * layer.stride)
        missing.append(missing[-1] * layer.stride + odd)
    first, last, margin = 0, per_frame[-1] - 1, 0
    for index in range(len(layers), -1, -1):
        c = per_frame[index]
        margin = max(margin, math.ceil(-first / c), math.ceil((last + 1 + missing[index]) / c) - 1)
        if index:
            first, last = layers[index - 1].input_span(first, last)
    return margin
