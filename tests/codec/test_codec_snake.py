"""The faster activation against that of transformers, bit for bit."""

from __future__ import annotations

import pytest
import torch
from transformers.models.dac.modeling_dac import Snake1d

from dacse_cli.codec.dac import snake as room


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 333), (1, 96, 20011)])
@pytest.mark.parametrize("block", [1, 1 << 12, 1 << 30])
def test_snake_is_exact(monkeypatch, shape, block):
    """One different rounding in an activation flips codes now and then."""
    monkeypatch.setattr(room, "_BLOCK_VALUES", block)
    original = Snake1d(shape[1])
    original.alpha.data.uniform_(-0.5, 3)
    x = 3 * torch.randn(shape)
    with torch.inference_mode():
        expected, before = original(x), x.clone()
        assert torch.equal(room.snake(x, original.alpha, torch.empty_like(x)), expected)
        assert torch.equal(x, before)
