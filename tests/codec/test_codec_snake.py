"""Activation and residual unit against those of transformers, bit for bit."""

from __future__ import annotations

import pytest
import torch
from transformers.models.dac.modeling_dac import DacResidualUnit, Snake1d

from dacse_cli.codec import snake as room
from dacse_cli.codec.dac import ResidualUnit


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 333), (1, 96, 20011)])
@pytest.mark.parametrize("block", [1, 1 << 12, 1 << 30])
def test_snake_is_exact(monkeypatch, shape, block):
    """One different rounding in an activation flips codes now and then."""
    monkeypatch.setattr(room, "_BLOCK_VALUES", block)
    original, own = Snake1d(shape[1]), room.Snake(shape[1])
    original.alpha.data.uniform_(-0.5, 3)
    own.load_state_dict(original.state_dict())
    x = 3 * torch.randn(shape)
    with torch.inference_mode():
        expected = original(x)
        assert torch.equal(room.snake(x, original.alpha, torch.empty_like(x)), expected)
        assert torch.equal(own(x), expected)


@pytest.mark.parametrize("dilation", [1, 3, 9])
def test_residual_unit_is_exact_and_keeps_its_input(dilation):
    """An in-place step that reaches the skip connection."""
    original, own = DacResidualUnit(12, dilation), ResidualUnit(12, dilation)
    own.load_state_dict(original.state_dict())
    x = torch.randn(2, 12, 500)
    with torch.inference_mode():
        expected, before = original(x), x.clone()
        assert torch.equal(own(x), expected)
        assert torch.equal(x, before)


@pytest.mark.parametrize("strides", [(2, 4, 8, 8), (3, 5)])
def test_a_whole_network_gives_the_bits_of_transformers(tiny_dac, make_noise, strides):
    """Another order of additions, and codes of transformers would not be ours."""
    tiny = tiny_dac(strides)
    hop = tiny.shape.hop_length
    codes = tiny.codec.encode_window(make_noise(1, 40 * hop))
    assert (codes == tiny.encode(make_noise(1, 40 * hop))).all()
    assert (tiny.codec.decode_window(codes) == tiny.decode(codes)).all()
