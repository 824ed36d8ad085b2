"""Margins and tails against what gradients say of the real networks."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import DacConfig, DacModel
from transformers.models.dac.modeling_dac import Snake1d

from dacse_cli.codec.dac.receptive import decode_margin, decode_tail, encode_margin

STRIDES = [(2, 4, 8, 8), (2, 4, 5, 8), (20, 16), (8, 8, 5), (3, 3, 7), (2,), (5,)]


class Plain(torch.nn.Module):
    def forward(self, x):
        return x


def positive_model(strides):
    """All weights positive and no activations: a gradient is zero only where there is no path."""
    config = DacConfig(
        downsampling_ratios=list(strides), encoder_hidden_size=2, decoder_hidden_size=2 ** len(strides)
    )
    model = DacModel(config).double()
    for parameter in model.parameters():
        parameter.data = torch.full_like(parameter, 0.1)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Snake1d):
                setattr(module, name, Plain())
    model.decoder.tanh = Plain()
    return model


def seen(outputs, inputs):
    gradient = torch.autograd.grad(outputs.sum(), inputs)[0]
    at = gradient.abs().sum((0, 1)).nonzero().flatten()
    return int(at[0]), int(at[-1])


@pytest.mark.parametrize("strides", STRIDES)
def test_encode_margin_is_what_a_frame_sees(strides):
    """A margin typed for one model, or one too small, would let windows change codes."""
    model, hop, middle = positive_model(strides), math.prod(strides), 30
    samples = torch.zeros(1, 1, 61 * hop, dtype=torch.double, requires_grad=True)
    latent = model.encoder(samples)
    assert latent.shape[-1] == 61
    first, last = seen(latent[..., middle], samples)
    left, right = middle - first // hop, last // hop - middle
    assert encode_margin(strides) == max(left, right)


@pytest.mark.parametrize("strides", STRIDES)
def test_decode_margin_is_what_a_frame_sees(strides):
    """The same for sound; odd strides may need one frame more, because a window falls short at its end."""
    model, hop, middle = positive_model(strides), math.prod(strides), 30
    latent = torch.zeros(1, model.config.hidden_size, 61, dtype=torch.double, requires_grad=True)
    samples = model.decoder(latent)[0, 0]
    assert 61 * hop - len(samples) == decode_tail(strides)
    first, last = seen(samples[middle * hop : (middle + 1) * hop], latent)
    needed = max(middle - first, last - middle)
    assert needed <= decode_margin(strides) <= needed + 1


def test_known_models():
    """The figures of the four published models (8 and 10 frames; 8 samples short at 24 and 16 kHz)."""
    assert (encode_margin((2, 4, 8, 8)), decode_margin((2, 4, 8, 8)), decode_tail((2, 4, 8, 8))) == (8, 10, 0)
    assert (encode_margin((2, 4, 5, 8)), decode_margin((2, 4, 5, 8)), decode_tail((2, 4, 5, 8))) == (8, 10, 8)
