"""The cost of training a SET network, computed and not measured. Imports no torch.

FLOPs are those of matrix products, two per multiply-add, with three passes per training step (forward, and
two backward); a stage with `past` by search adds a forward pass of everything. Attention is counted over full
squares.
"""

from __future__ import annotations

from dataclasses import dataclass

from dacse_cli.errors import UsageError
from dacse_cli.interfaces import Codes
from dacse_cli.set.shape import ConformerShape, SetShape
from dacse_cli.training.lm.plan import H100_FLOPS, STATE_BYTES
from dacse_cli.training.set.sizes import shape_of, sized_config

RELEASED = Codes(9, 1024)
"""Codes of the released 44.1 kHz codec."""
FRAME_RATE = 44100 / 512


@dataclass(frozen=True)
class SetPlan:
    """The cost of a model size."""

    name: str
    parameters: int
    state_bytes: int
    flops_per_hour: float
    """FLOPs of a training pass over one hour of pairs, with the correct past."""
    self_fed_flops_per_hour: float
    """The same with the network's own past."""
    hours: float
    """Hours of one H100 for `audio_hours` hours of pairs."""


def set_plan(
    size: str, *, units: Codes = RELEASED, frames: int = 344, audio_hours: float = 1000.0, mfu: float = 0.2
) -> SetPlan:
    """The plan for a size by name; `audio_hours` over all epochs. Raises `UsageError`."""
    if audio_hours <= 0 or not 0 < mfu <= 1 or frames < 1:
        raise UsageError("hours must be above 0, frames at least 1, MFU above 0 and at most 1")
    shape = shape_of(sized_config(size), units)
    forward = frame_flops(shape, frames) * FRAME_RATE * 3600.0
    parameters = count_parameters(shape)
    return SetPlan(
        name=size,
        parameters=parameters,
        state_bytes=STATE_BYTES * parameters,
        flops_per_hour=3.0 * forward,
        self_fed_flops_per_hour=(4.0 if shape.predictor is not None else 3.0) * forward,
        hours=3.0 * forward * audio_hours / (H100_FLOPS * mfu) / 3600.0,
    )


def frame_flops(shape: SetShape, frames: int) -> float:
    """FLOPs of a forward pass, per frame of rows of `frames` frames."""
    weights = count_parameters(shape) - _tables(shape)
    stacks = [shape.encoder]
    if shape.predictor is not None and shape.predictor.kind == "conformer":
        stacks.append(shape.predictor.conformer)
    attention = sum(2 * stack.layers * stack.width * frames for stack in stacks)
    return 2.0 * (weights + attention)


def count_parameters(shape: SetShape) -> int:
    """All weights of a network."""
    width = shape.embedding_width or 0
    joint = shape.joint_width or 0
    encoder = _conformer(shape.latents or width, shape.encoder) + _pooling(shape)
    encoder += (shape.encoder.width + 1) * joint
    total = encoder + _tables(shape)
    total += _head(shape)
    own = shape.predictor
    if own is None:
        return total
    if own.kind == "conformer":
        total += _conformer(width, own.conformer)
    else:
        inputs = [width, *[own.width] * (own.layers - 1)]
        total += sum(4 * own.width * (given + own.width + 2) for given in inputs)
    return total + _pooling(shape) + (own.width + 1) * joint


def _head(shape: SetShape) -> int:
    inputs = (shape.joint_width or shape.encoder.width) + 1
    if shape.latents is not None:
        return inputs * shape.latents
    books, size = shape.codes.books, shape.codes.size
    if shape.head_width is None:
        return inputs * books * size
    return books * (inputs * shape.head_width + (shape.head_width + 1) * size)


def _tables(shape: SetShape) -> int:
    """Weights of embeddings: they are looked up, not multiplied."""
    if shape.latents is not None:
        return 0
    books, size, width = shape.codes.books, shape.codes.size, shape.embedding_width or 0
    rows = books * size + (books * (size + 1) if shape.predictor is not None else 0)
    return rows * width


def _pooling(shape: SetShape) -> int:
    width = shape.embedding_width or 0
    return width * (width + 1) + width if shape.pooling == "attention" and not shape.latents else 0


def _conformer(inputs: int, shape: ConformerShape) -> int:
    """Input, layers and last norm."""
    W, F, k = shape.width, shape.feed_forward, shape.kernel
    norm = 2 * W
    feed_forward = norm + (W + 1) * F + (F + 1) * W
    attention = norm + (W + 1) * 3 * W + (W + 1) * W
    convolution = norm + (W + 1) * 2 * W + (k + 1) * W + norm + (W + 1) * W
    return (inputs + 1) * W + shape.layers * (2 * feed_forward + attention + convolution + norm) + norm
