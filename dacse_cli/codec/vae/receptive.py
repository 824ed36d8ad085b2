"""The layers of autoencoder and vocoders along time, from which their margins follow.

Integers only, without tensors or weights. Along frequency every window is complete.
"""

from __future__ import annotations

from collections.abc import Sequence

from dacse_cli.codec.receptive import Layer, same

MEL = Layer(1024, 256, padding=384)
"""Samples -> mel frames (see `mel.py`)."""
ACTIVATION = same(11)
"""The anti-aliased activation sees 5 samples on each side (see `antialias.py`)."""
_CONV = same(3)


def autoencoder_encode_layers(layers: Sequence[int]) -> list[Layer]:
    """From samples to latents; `layers` residual blocks (two convolutions) per stage."""
    result = [MEL, _CONV]
    for place, blocks in enumerate(layers):
        if place:
            result.append(Layer(3, 2, padding=1))
        result += [_CONV] * (2 * blocks)
    return [*result, _CONV]


def autoencoder_decode_layers(layers: Sequence[int]) -> list[Layer]:
    """From latents to mel frames."""
    result = [_CONV]
    for place, blocks in enumerate(reversed(layers)):
        if place:
            result += [Layer(2, 2, transposed=True), _CONV]  # each frame twice, then a convolution
        result += [_CONV] * (2 * blocks)
    return [*result, _CONV]


def bigvgan_layers(
    strides: Sequence[int],
    kernels: Sequence[int],
    residual_kernels: Sequence[int],
    dilations: Sequence[Sequence[int]],
) -> list[Layer]:
    """From mel frames to samples; of the parallel residual blocks the one that sees farthest."""
    blocks = [_block(kernel, own) for kernel, own in zip(residual_kernels, dilations, strict=True)]
    widest = max(blocks, key=lambda layers: sum(layer.dilation * (layer.kernel - 1) for layer in layers))
    result = [same(7)]
    for stride, kernel in zip(strides, kernels, strict=True):
        result += [Layer(kernel, stride, padding=(kernel - stride) // 2, transposed=True), *widest]
    return [*result, ACTIVATION, same(7)]


def griffin_lim_layers(iterations: int) -> list[Layer]:
    """From mel frames to samples: each iteration, and the last synthesis, see 3 frames on each side."""
    return [same(6 * (iterations + 1) + 1), Layer(256, 256, transposed=True)]


def _block(kernel: int, dilations: Sequence[int]) -> list[Layer]:
    return [
        layer
        for dilation in dilations
        for layer in (ACTIVATION, same(kernel, dilation), ACTIVATION, same(kernel))
    ]
