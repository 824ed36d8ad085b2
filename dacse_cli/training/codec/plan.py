"""The cost of training a released codec, computed by counting products, not measured. Imports no torch.

FLOPs are those of convolutions, two per multiply-add; the quantizer, spectra and edge effects are left out
(below a percent). A step is three passes of the codec (forward, and two backward) and ten of the
discriminators, a pass being one wave: they learn from recording and reconstruction (six), and then give the
codec its losses for both (two forward, two backward to their input).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dacse_cli.codec.dac.shape import DacShape
from dacse_cli.errors import UsageError
from dacse_cli.training.codec.recipe import BANDS, CodecStage, DataPart, DiscriminatorPart
from dacse_cli.training.codec.shapes import shape_of

H100_TF32 = 494.7e12
"""Dense TF32 of an H100 SXM, NVIDIA's data sheet: what torch's convolutions of float32 use there."""
STATE_BYTES = 16
"""A parameter in float32, its gradient, and AdamW's two moments."""
CODEC_PASSES, DISCRIMINATOR_PASSES = 3, 10


@dataclass(frozen=True)
class Layer:
    """A convolution: `weights` and `others` (biases, gains, slopes), used at `places`."""

    weights: int
    others: int
    places: float


@dataclass(frozen=True)
class CodecPlan:
    """The cost of training a released codec with all discriminators."""

    name: str
    parameters: int
    """Parameters of the codec."""
    discriminators: int
    """Parameters of the discriminators."""
    state_bytes: int
    """Weights, gradients, moments; activations are not planned."""
    flops_per_step: float
    """FLOPs of one step over all crops."""
    gpus: int
    hours: float


def codec_plan(size: str, *, gpus: int = 1, mfu: float = 0.2) -> CodecPlan:
    """The plan of the released recipe (400,000 steps of 72 crops). Raises `UsageError`."""
    if gpus < 1 or not 0 < mfu <= 1:
        raise UsageError("GPUs must be at least 1 and MFU above 0 and at most 1")
    shape, stage, seconds = shape_of(size), CodecStage(), DataPart().seconds
    samples = round(seconds * shape.sampling_rate / shape.hop_length) * shape.hop_length
    codec = list(codec_layers(shape, samples))
    discriminators = list(discriminator_layers(DiscriminatorPart(), samples))
    flops = CODEC_PASSES * forward_flops(codec) + DISCRIMINATOR_PASSES * forward_flops(discriminators)
    quantizer = shape.n_codebooks * (
        2 * shape.hidden_size * shape.codebook_dim
        + shape.codebook_dim * (shape.codebook_size + 1)
        + shape.hidden_size
    )
    flops *= stage.rows
    hours = stage.steps * flops / (gpus * mfu * H100_TF32) / 3600.0
    own, others = parameters(codec) + quantizer, parameters(discriminators)
    return CodecPlan(size, own, others, STATE_BYTES * (own + others), flops, gpus, hours)


def forward_flops(layers: Sequence[Layer]) -> float:
    """One pass of one wave."""
    return sum(2.0 * layer.weights * layer.places for layer in layers)


def parameters(layers: Sequence[Layer]) -> int:
    """All trained parameters."""
    return sum(layer.weights + layer.others for layer in layers)


def codec_layers(shape: DacShape, samples: int) -> Iterator[Layer]:
    """Encoder, then decoder, for a wave of `samples`; a Snake's slopes count with the layer after it."""
    width, length = shape.encoder_hidden_size, float(samples)
    yield Layer(7 * width, width, length)
    for stride in shape.downsampling_ratios:
        yield from _residual_units(width, length)
        length /= stride
        yield Layer(2 * stride * width * 2 * width, 3 * width, length)
        width *= 2
    yield Layer(3 * width * shape.hidden_size, width + shape.hidden_size, length)
    width = shape.decoder_hidden_size
    yield Layer(7 * shape.hidden_size * width, width, length)
    for stride in reversed(shape.downsampling_ratios):
        yield Layer(2 * stride * width * (width // 2), width + width // 2, length)
        width, length = width // 2, length * stride
        yield from _residual_units(width, length)
    yield Layer(7 * width, width + 1, length)


def _residual_units(width: int, length: float) -> Iterator[Layer]:
    for _ in range(3):
        yield Layer(7 * width * width, 2 * width, length)
        yield Layer(width * width, 2 * width, length)


def discriminator_layers(options: DiscriminatorPart, samples: int) -> Iterator[Layer]:
    """All discriminators; weight norm adds a gain for each filter."""
    w = options.width
    for period in options.periods:
        height = -(-samples // period)
        for place, (a, b) in enumerate(pairwise((1, w, 4 * w, 16 * w, 32 * w, 32 * w))):
            height = (height - 1) // 3 + 1 if place < 4 else height
            yield Layer(5 * a * b, 2 * b, float(height * period))
        yield Layer(3 * 32 * w, 2, float(height * period))
    for window in options.windows:
        edges = [round(edge * (window // 2 + 1)) for edge in BANDS]
        times, bins = samples // (window // 4) + 1, 0
        for low, high in pairwise(edges):
            columns = high - low
            yield Layer(2 * 27 * w, 2 * w, float(times * columns))
            for _ in range(3):
                columns = (columns - 1) // 2 + 1
                yield Layer(27 * w * w, 2 * w, float(times * columns))
            yield Layer(9 * w * w, 2 * w, float(times * columns))
            bins += columns
        yield Layer(9 * w, 2, float(times * bins))
