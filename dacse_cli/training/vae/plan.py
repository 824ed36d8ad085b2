"""The cost of training a speech VAE's autoencoder, computed by counting products, not measured.

Imports no torch. Passes are those of a codec's plan; in addition, Muon orthogonalises every kernel once per
step, the same on each GPU. Spectra, losses and the autoencoder's shortcuts are left out (below a percent).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dacse_cli.codec.vae.shape import BANDS, SAMPLE_RATE, AutoencoderShape
from dacse_cli.errors import UsageError
from dacse_cli.training.codec.plan import (
    CODEC_PASSES,
    DISCRIMINATOR_PASSES,
    H100_TF32,
    STATE_BYTES,
    CodecPlan,
    Layer,
    forward_flops,
    parameters,
)
from dacse_cli.training.vae.recipe import DiscriminatorPart, VaeRecipe

SIZES = ("vae",)
"""The released shape."""
MUON_BYTES = 12
"""A parameter in float32, its gradient, and Muon's one moment."""
MUON_ITERATIONS = 5
_PARTS = 10
"""Equal parts of the spectrum for which the discriminators have separate layers."""


@dataclass(frozen=True)
class Kernel(Layer):
    """A weight-normed convolution; Muon moves its `weights` as a matrix with a row for each filter."""

    filters: int

    @property
    def muon_flops(self) -> float:
        """Three products of matrices for each iteration, as torch's Muon computes them."""
        low, high = sorted((self.filters, self.weights // self.filters))
        return MUON_ITERATIONS * (4.0 * low * low * high + 2.0 * low**3)


def vae_plan(
    name: str = "vae", shape: AutoencoderShape | None = None, *, gpus: int = 1, mfu: float = 0.2
) -> CodecPlan:
    """The plan of the released recipe (700,000 steps of 4 crops), on no more GPUs than it can use: each needs
    two crops. Raises `UsageError`.
    """
    if gpus < 1 or not 0 < mfu <= 1:
        raise UsageError("GPUs must be at least 1 and MFU above 0 and at most 1")
    shape, recipe = shape or AutoencoderShape(), VaeRecipe()
    (stage,) = recipe.stage
    gpus = min(gpus, stage.rows // 2)
    frames = round(recipe.data.seconds * SAMPLE_RATE / shape.hop_length) * shape.reduction
    autoencoder = list(autoencoder_layers(shape, frames))
    discriminators = list(discriminator_layers(recipe.discriminators, frames))
    muon = sum(kernel.muon_flops for kernel in (*autoencoder, *discriminators))
    crops = stage.rows * crop_flops(autoencoder, discriminators)
    hours = stage.steps * (crops / gpus + muon) / (mfu * H100_TF32) / 3600.0
    return CodecPlan(
        name,
        parameters(autoencoder),
        parameters(discriminators),
        state_bytes([*autoencoder, *discriminators]),
        crops + muon,
        gpus,
        hours,
    )


def crop_flops(autoencoder: Sequence[Layer], discriminators: Sequence[Layer]) -> float:
    """All passes of one crop in a step."""
    return CODEC_PASSES * forward_flops(autoencoder) + DISCRIMINATOR_PASSES * forward_flops(discriminators)


def state_bytes(kernels: Sequence[Kernel]) -> int:
    """Weights, gradients, moments: Muon's for kernels, AdamW's for gains and biases."""
    return sum(MUON_BYTES * kernel.weights + STATE_BYTES * kernel.others for kernel in kernels)


def autoencoder_layers(shape: AutoencoderShape, frames: int) -> Iterator[Kernel]:
    """Encoder, then decoder, for a spectrum of `frames`; a norm counts with the layer before it."""
    widths, last = shape.channels, shape.channels[-1]
    places = [(BANDS >> stage) * (frames >> stage) for stage in range(len(widths))]
    yield _kernel(1, widths[0], places[0])
    for stage, blocks in enumerate(shape.encoder_layers):
        if stage:
            yield _kernel(widths[stage - 1], widths[stage], places[stage])
        yield from _residual_blocks(blocks, widths[stage], places[stage])
    yield _kernel(last, shape.latent_channels, places[-1])
    yield _kernel(shape.latent_channels, last, places[-1])
    for stage, blocks in enumerate(shape.decoder_layers):
        if stage:
            yield _kernel(widths[stage], widths[stage - 1], places[stage - 1])
        yield from _residual_blocks(blocks, widths[stage], places[stage])
    yield _kernel(widths[0], 1, places[0], others=2 + 2 * widths[0])


def _residual_blocks(count: int, width: int, places: int) -> Iterator[Kernel]:
    for _ in range(count):
        yield _kernel(width, width, places)
        yield _kernel(width, width, places, others=3 * width)  # no bias; gain and bias of the norm


def discriminator_layers(options: DiscriminatorPart, frames: int) -> Iterator[Kernel]:
    """Both networks."""
    w = options.band_width
    for _ in range(_PARTS):
        for a, b in pairwise((1, w, w, w, w, w)):
            yield _kernel(a, b, frames * BANDS // _PARTS)
    yield _kernel(w, 1, frames * BANDS)
    p, height, length = options.patch_width, BANDS, frames
    for a, b in pairwise((1, p, 2 * p, 4 * p, 8 * p, 16 * p)):
        height, length = height // 2, length // 2
        yield _kernel(a, b, height * length, size=4)
    yield _kernel(16 * p, 1, (height - 1) * (length - 1), size=4)


def _kernel(inputs: int, filters: int, places: int, *, size: int = 3, others: int | None = None) -> Kernel:
    """Of `size` times `size`; `others` are else the gain and bias of each filter."""
    others = 2 * filters if others is None else others
    return Kernel(size * size * inputs * filters, others, places, filters)
