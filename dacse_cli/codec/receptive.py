"""How far convolutions see: input positions that an output depends on, from kernels, strides and paddings.

Integers only: knows no tensors, no weights and no network's list of layers.
"""

from __future__ import annotations

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


def same(kernel: int, dilation: int = 1) -> Layer:
    """A layer of stride 1 and odd kernel whose output is as long as its input."""
    return Layer(kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)
