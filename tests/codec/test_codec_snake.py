"""The faster activation and residual unit against those of transformers, bit for bit."""

from __future__ import annotations

import pytest
import torch
from transformers.models.dac.modeling_dac import DacResidualUnit, Snake1d

from dacse_cli.codec import snake as room


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 333), (1, 96, 20011)])
@pytest.mark.parametrize("block", [1, 1 << 12, 1 << 30])
def test_snake_is_exact(monkeypatch, shape, block):
    """One different rounding in an activation flips codes now and then."""
    monkeypatch.setattr(room, "_BLOCK_VALUES", block)
    original = Snake1d(shape[1])
    original.alpha.data.uniform_(-0.5, 3)
    x = 3 * torch.randn(shape)
    with torch.inference_mode():
        expected = original(x)
        assert torch.equal(room.snake(x, original.alpha, torch.empty_like(x)), expected)
        assert torch.equal(room.Snake(original.alpha)(x), expected)


@pytest.mark.parametrize("dilation", [1, 3, 9])
def test_residual_unit_is_exact_and_keeps_its_input(dilation):
    """An in-place step that reaches the skip connection."""
    unit = DacResidualUnit(12, dilation)
    x = torch.randn(2, 12, 500)
    with torch.inference_mode():
        expected, before = unit(x), x.clone()
        assert torch.equal(room.ResidualUnit(unit)(x), expected)
        assert torch.equal(x, before)


def test_every_layer_is_replaced(tiny_dac, make_noise):
    """A renamed class in transformers would quietly leave the slow layers in place."""
    tiny = tiny_dac((2, 4, 8, 8))
    kinds = {type(module) for module in tiny.codec._network._model.modules()}
    assert not kinds & {Snake1d, DacResidualUnit}
