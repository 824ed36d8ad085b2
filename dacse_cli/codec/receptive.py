"""Receptive fields of convolutions, from kernels, strides and paddings: the inputs that an output depends on.

Integers only: independent of tensors, weights and the list of a network's layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One convolution (or transposed convolution) along time; 1x1 layers and activations see one point."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    padding: int = 0
    transposed: bool = False

    def input_span(self, first: int, last: int) -> tuple[int, int]:
        """Input positions that outputs `first..last` (inclusive) depend on."""
        if self.transposed:  # output o = i * stride - padding + tap, tap in 0..kernel-1
            lowest = -((self.kernel - 1 - first - self.padding) // self.stride)
            return lowest, (last + self.padding) // self.stride
        reach = self.dilation * (self.kernel - 1)
        return first * self.stride - self.padding, last * self.stride - self.padding + reach

    def shortfall(self, missing: int) -> int:
        """Positions an output is short of `stride` per input position, if the input is `missing` short."""
        if not self.transposed:
            return missing
        return missing * self.stride + self.stride + 2 * self.padding - self.kernel


def same(kernel: int, dilation: int = 1) -> Layer:
    """A layer of stride 1 and odd kernel whose output is as long as its input."""
    return Layer(kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)


def encode_margin(layers: Sequence[Layer]) -> int:
    """Frames of context on each side that make an encoded frame independent of what lies beyond.

    A frame t sees samples t*hop + first .. t*hop + last. Every stage must divide a hop-aligned length
    exactly, so that positions inside a window are those of the whole file, shifted.
    """
    first, last = 0, 0
    for layer in reversed(layers):
        first, last = layer.input_span(first, last)
    hop = math.prod(layer.stride for layer in layers)
    return max(math.ceil(-first / hop), math.ceil((last + 1) / hop) - 1)


def decode_tail(layers: Sequence[Layer]) -> int:
    """Samples that a decoder's output falls short of frames*hop."""
    missing = 0
    for layer in layers:
        missing = layer.shortfall(missing)
    return missing


def decode_margin(layers: Sequence[Layer]) -> int:
    """Frames of context on each side that make the samples of a decoded frame independent of the rest.

    Walks from the samples of frame 0 back to frames. At every level (c positions per frame) the positions
    seen must exist inside the window, whose level is `missing` positions short of a whole number of frames.
    """
    per_frame, missing = [1], [0]  # at the input of each layer
    for layer in layers:
        per_frame.append(per_frame[-1] * layer.stride)
        missing.append(layer.shortfall(missing[-1]))
    first, last, margin = 0, per_frame[-1] - 1, 0
    for index in range(len(layers), -1, -1):
        c = per_frame[index]
        margin = max(margin, math.ceil(-first / c), math.ceil((last + 1 + missing[index]) / c) - 1)
        if index:
            first, last = layers[index - 1].input_span(first, last)
    return margin
