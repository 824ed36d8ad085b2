"""The cost of training a model size, computed: only constants for comparison are measured. Imports no torch.

A token is one id of a noisy or a clean side, or one of the three specials: a pair of T frames is 2KT + 3.
FLOPs are those of matrix products, two per multiply-add, with three passes per training step (forward, and
two backward); recomputed activations (checkpointing) are a fourth, which counts as time but not as useful
work.
"""

from __future__ import annotations

from dataclasses import dataclass

from dacse_cli.errors import UsageError
from dacse_cli.lm.shape import LlamaShape, parse_shape
from dacse_cli.tokens.layout import TokenLayout
from dacse_cli.training.lm.sizes import RELEASED_LAYOUT, count_parameters, published_config

H100_FLOPS = 989.4e12
"""Dense bfloat16 of an H100 SXM, NVIDIA's data sheet."""
H100_BYTES = 80e9
LINK = 200e9
"""Assumed all-reduce bandwidth inside one machine (NVLink), bytes per second and GPU."""
NETWORK = 25e9
"""The same between machines (400 Gbit/s per GPU, half used)."""
GPUS_A_MACHINE = 8
STATE_BYTES = 16
"""A parameter in float32, its gradient, and AdamW's two moments."""


@dataclass(frozen=True)
class Work:
    """One process's part of a step."""

    frames: int = 344
    """Frames of a pair: 4 s of the released codec."""
    rows: int = 1
    accumulate: int = 16
    checkpointing: bool = True
    whole_vocabulary: bool = True
    """Whether the loss is against all ids (as published) or only those of one codebook."""

    def check(self) -> Work:
        """Return self; raises `UsageError`."""
        if min(self.frames, self.rows, self.accumulate) < 1:
            raise UsageError("frames, rows and accumulated passes must be at least 1")
        return self

    def length(self, layout: TokenLayout) -> int:
        """Tokens of a pair."""
        return 2 * layout.n_codebooks * self.frames + 3

    def tokens(self, layout: TokenLayout) -> int:
        """Tokens per process and step."""
        return self.length(layout) * self.rows * self.accumulate


@dataclass(frozen=True)
class Plan:
    """The cost of a model size. Memory in bytes per GPU, time on `gpus` GPUs."""

    name: str
    parameters: int
    state_bytes: int
    activation_bytes: int
    flops_per_step: float
    """Useful FLOPs per step of one process."""
    tokens_per_step: int
    """Tokens per step of one process."""
    tokens_per_second: float
    """Speed of a single GPU."""
    gpus: int
    efficiency: float
    """Speed with gradient averaging, as a share of `gpus` times one GPU's speed."""
    hours: float

    @property
    def memory_bytes(self) -> int:
        """Memory of one process."""
        return self.state_bytes + self.activation_bytes

    @property
    def fits(self) -> bool:
        """Whether it fits an H100 of 80 GB with a tenth left for torch and fragmentation."""
        return self.memory_bytes < 0.9 * H100_BYTES


def plan(
    name: str,
    shape: LlamaShape,
    *,
    layout: TokenLayout = RELEASED_LAYOUT,
    work: Work | None = None,
    tokens: float = 5e9,
    gpus: int = 1,
    mfu: float = 0.4,
) -> Plan:
    """The plan for `shape`. `mfu` is the share of peak FLOPs that useful ones reach. Raises `UsageError`."""
    work = (work or Work()).check()
    if gpus < 1 or tokens <= 0 or not 0 < mfu <= 1:
        raise UsageError("GPUs must be at least 1, tokens above 0 and MFU above 0 and at most 1")
    a_step = work.tokens(layout)
    flops = step_flops(shape, layout, work)
    seconds = flops / (H100_FLOPS * mfu)
    parameters = count_parameters(shape)
    efficiency = seconds / (seconds + averaging_seconds(parameters, gpus))
    return Plan(
        name=name,
        parameters=parameters,
        state_bytes=STATE_BYTES * parameters,
        activation_bytes=activation_bytes(shape, layout, work),
        flops_per_step=flops,
        tokens_per_step=a_step,
        tokens_per_second=a_step / seconds,
        gpus=gpus,
        efficiency=efficiency,
        hours=tokens * seconds / a_step / (gpus * efficiency) / 3600.0,
    )


def published_plan(size: str, *, work: Work, tokens: float, gpus: int, mfu: float) -> Plan:
    """The plan for a published size. Raises `UsageError`."""
    return plan(size, parse_shape(published_config(size)), work=work, tokens=tokens, gpus=gpus, mfu=mfu)


def step_flops(shape: LlamaShape, layout: TokenLayout, work: Work) -> float:
    """Useful FLOPs of one process's step: layers, attention over half of each square, head of the answer."""
    length = work.length(layout)
    matrices = shape.layers * _layer_matrices(shape)
    attention = shape.layers * shape.heads * shape.head_dim * length  # QK and AV, causal: 2 * length / 2
    answers = layout.n_codebooks * work.frames
    columns = shape.vocab_size if work.whole_vocabulary else layout.codebook_size
    forward = length * 2.0 * (matrices + attention) + answers * 2.0 * shape.hidden * columns
    return 3.0 * forward * work.rows * work.accumulate


def activation_bytes(shape: LlamaShape, layout: TokenLayout, work: Work) -> int:
    """Bytes of activations kept for the backward pass, bfloat16 autocast over a float32 residual stream.

    A layer keeps about: its two inputs, their normed forms in both formats and the residual between (float32
    28 and bfloat16 4 bytes an element of `hidden`), queries, keys, values and the mixed heads with their
    rotated forms (12 of `heads * head_dim`), gate, up, their products and activation (10 of `intermediate`).
    With checkpointing each layer keeps only its input, and one layer at a time keeps everything.
    """
    positions = work.rows * work.length(layout)
    layer = 32 * shape.hidden + 12 * shape.heads * shape.head_dim + 10 * shape.intermediate
    kept = 4 * shape.hidden * shape.layers + layer if work.checkpointing else layer * shape.layers
    columns = shape.vocab_size if work.whole_vocabulary else layout.codebook_size
    # logits in bfloat16, in float32, their softmax and its gradient
    head = work.rows * layout.n_codebooks * work.frames * columns * 14
    return positions * kept + head


def averaging_seconds(parameters: int, gpus: int) -> float:
    """Seconds of a ring all-reduce of float32 gradients per step, not overlapped with the backward pass."""
    if gpus == 1:
        return 0.0
    speed = LINK if gpus <= GPUS_A_MACHINE else NETWORK
    return 2.0 * (gpus - 1) / gpus * 4.0 * parameters / speed


def _layer_matrices(shape: LlamaShape) -> int:
    """Number of parameters in the matrices of one layer."""
    attention = shape.hidden * shape.head_dim * (2 * shape.heads + 2 * shape.kv_heads)
    return attention + 3 * shape.hidden * shape.intermediate
