"""Initial weights of a language model that copies: its answer is the noisy codes.

In a chunk of T frames the clean code of a frame is a fixed distance D = K*T tokens after its noisy one.
A randomly initialised model has to learn that: it takes hundreds of steps, and often the model attends
instead to the noisy position whose neighbours resemble the codes it has just written. In free generation such
a model loses its position after its first mistakes. Here the distance is set in the weights instead:

- One channel of the embeddings holds a constant. A query head rotates it by -D (rotary embeddings: the phase
of frequency w is -D w), a key head leaves it unchanged. Their product over the 16 fastest frequencies is
largest D tokens back, and by far. - A second channel marks bos. The slowest pair of channels of a head hardly
rotates, so bos can be preferred from any distance; its logit is half that of an exact hit. Positions with no
token D back attend to bos and read zeros. - Value and output projections copy the embedding of the noisy
code, as many channels per layer as its key-value heads have, so the first layers together copy all of them.
Further query heads of these layers, and one layer more, look one and two frames to either side; their output
starts at zero. - Every other output projection starts at zero, and embeddings of one codebook have equal
length: the likeliest code is the copied one, except among codes that sound almost alike.

Training then only has to learn where the clean code differs. Step sizes must be small enough: embeddings of
0.05 per channel changed by 1.5e-3 per step lost the copy in 100 steps (loss of the first codebook 3.5 ->
4.1).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from transformers import DacModel, LlamaForCausalLM

from dacse_cli.tokens.layout import BOS, SPECIALS
from dacse_cli.training.lm.embeddings import code_vectors

CONSTANT = 0.3
"""Value in the constant channel of every embedding, and in the channel that marks bos."""
LENGTH = 0.8
"""Length of every code's embedding."""
WHITENING = 0.35
"""Directions of the latent space are divided by their deviation to this power."""
FAST = 16
"""Number of frequencies that distinguish distances."""
KEY = math.sqrt(2.0)
SHARPNESS = 0.5
"""Scale of the heads that look beside the position, relative to those that look at it."""
SINK = 60.0
"""Attention logit of bos; an exact hit has about 125, a hit 5 tokens off about 75."""
HANDED_ON = 0.15
"""Scale of the copied embedding in the residual stream, where a token's own has 0.05 per channel."""
FINAL_GAIN = 0.5


@torch.no_grad()
def start_as_copy(model: LlamaForCausalLM, codec: DacModel, frames: int, generator: torch.Generator) -> None:
    """Set the weights of a fresh `model` so that it answers a chunk of `frames` frames with its own codes.

    Raises `ValueError` for a shape that cannot: see `check_copy_shape`.
    """
    shape, K = model.config, codec.config.n_codebooks
    layers = check_copy_shape(model)
    width, distance = shape.hidden_size, K * frames
    _set_embeddings(model, codec, generator)
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    beside = [distance - K, distance + K, distance - 2 * K, K, distance + 2 * K, 2 * K, distance, 1]
    for number, layer in enumerate(started_layers(model)):
        aim = _Aim(layer.self_attn, model)
        group = shape.num_attention_heads // shape.num_key_value_heads
        for key_head in range(shape.num_key_value_heads):
            aim.key(key_head)
            first = number * aim.channels * shape.num_key_value_heads + key_head * aim.channels
            for place in range(group):
                head = key_head * group + place
                if place == 0 and number < layers:
                    aim.query(head, distance, 1.0)
                    aim.hand_on(head, key_head, first, min(aim.channels, width - 2 - first))
                else:
                    aim.query(head, beside[(number * group + head) % len(beside)], SHARPNESS)
    model.model.norm.weight.fill_(FINAL_GAIN)


def started_layers(model: LlamaForCausalLM) -> list[Any]:
    """The layers whose attention is initialised: those that copy, and one more."""
    return list(model.model.layers[: check_copy_shape(model) + 1])


def check_copy_shape(model: LlamaForCausalLM) -> int:
    """How many layers copy. Raises `ValueError` where there are too few, or heads are too narrow."""
    shape = model.config
    head = shape.head_dim or shape.hidden_size // shape.num_attention_heads
    if head < 2 * FAST + 2 or not shape.tie_word_embeddings:
        raise ValueError(
            f"a copying start wants heads of at least {2 * FAST + 2} channels and a tied head, not {head}"
        )
    layers: int = math.ceil((shape.hidden_size - 2) / (head * shape.num_key_value_heads))
    if layers > shape.num_hidden_layers:
        raise ValueError(f"a copying start wants {layers} layers, the model has {shape.num_hidden_layers}")
    return layers


def _set_embeddings(model: LlamaForCausalLM, codec: DacModel, generator: torch.Generator) -> None:
    """Codes: main directions of the latent space, all of one length. Last two channels: bos, constant."""
    vectors = code_vectors(codec)
    table = model.model.embed_tokens.weight  # [5 + K*N, width]
    width = table.shape[1]
    flat = vectors.reshape(-1, vectors.shape[-1])
    _, deviations, directions = torch.linalg.svd(flat, full_matrices=False)
    kept = min(width - 2, int((deviations > 1e-6 * deviations[0]).sum()))
    gains = (deviations[:kept] / deviations[0]) ** -WHITENING
    rows = flat @ (directions[:kept].t() * gains)
    rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-6) * LENGTH
    table.zero_()
    table[:SPECIALS] = 0.02 * torch.randn(SPECIALS, width, generator=generator)
    table[SPECIALS:, :kept] = rows
    table[:, -2], table[:, -1] = 0.0, CONSTANT
    table[BOS] = 0.0
    table[BOS, -2:] = CONSTANT


class _Aim:
    """Sets the weights of heads of one attention layer."""

    def __init__(self, attention: Any, model: LlamaForCausalLM) -> None:
        shape = model.config
        self.width = shape.hidden_size
        self.channels = shape.head_dim or shape.hidden_size // shape.num_attention_heads
        self._q, self._k = attention.q_proj.weight, attention.k_proj.weight
        self._v, self._o = attention.v_proj.weight, attention.o_proj.weight
        half = self.channels // 2
        theta = shape.rope_parameters["rope_theta"]
        self._speeds = theta ** (-torch.arange(half, dtype=torch.float64) / half)
        # values of the constant channel and of bos's mark after the layer's norm
        self._constant = CONSTANT / math.sqrt((LENGTH**2 + CONSTANT**2) / self.width)
        self._mark = CONSTANT / math.sqrt(2 * CONSTANT**2 / self.width)

    def key(self, head: int) -> None:
        """Set a key head: the constant in the fast frequencies; bos has only its mark in the slowest."""
        rows = slice(head * self.channels, (head + 1) * self.channels)
        half = self.channels // 2
        self._k[rows] *= 0.05
        self._k[rows, -1] = 0.0
        self._k[rows, -1][:FAST] = KEY
        self._k[rows, -2] -= self._k[rows, -1]
        self._k[rows, -2][half - 1] = SINK * math.sqrt(self.channels) / (self._constant * self._mark)

    def query(self, head: int, distance: int, sharpness: float) -> None:
        """Set a query head that looks `distance` tokens back."""
        rows, half = slice(head * self.channels, (head + 1) * self.channels), self.channels // 2
        phase = (-distance * self._speeds).remainder(2 * math.pi).float()
        strength = torch.zeros(half)
        strength[:FAST] = KEY * sharpness
        self._q[rows] *= 0.05
        self._q[rows, -1] = torch.cat([strength * phase.cos(), strength * phase.sin()])
        self._q[rows, -1][half - 1] = sharpness

    def hand_on(self, head: int, key_head: int, first: int, count: int) -> None:
        """Add channels `first..first + count` of the head's input to the residual stream."""
        rows = slice(key_head * self.channels, key_head * self.channels + count)
        here = slice(first, first + count)
        unit: Tensor = torch.eye(count)
        self._v[key_head * self.channels : (key_head + 1) * self.channels] *= 0.05
        self._v[rows, here] += unit
        self._o[here, head * self.channels : head * self.channels + count] = HANDED_ON * unit
