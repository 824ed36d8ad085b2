"""A fresh model that copies: greedy generation by the package's own engine returns the noisy codes."""

import numpy as np
import pytest
import torch
from training_runs import fresh_codec
from transformers import LlamaConfig, LlamaForCausalLM

from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.tokens.layout import TokenLayout
from dacse_cli.training.lm.copy_start import start_as_copy
from dacse_cli.training.lm.network import write_language_model

K, N = 4, 64


def fresh(kv_heads, layers=4, heads=4, width=256, tied=True):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=5 + K * N,
        hidden_size=width,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        tie_word_embeddings=tied,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )
    return LlamaForCausalLM(config)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_it_answers_with_the_noisy_codes(tmp_path, kv_heads):
    """A sign, a phase or a scale off, and it answers with other codes: 1 in 64 would be right by chance."""
    model, frames = fresh(kv_heads), 12
    start_as_copy(model, fresh_codec(K, N), frames, torch.Generator().manual_seed(0))
    write_language_model(tmp_path, model, {"codec": "codec", "chunk_seconds": 0.1, "fixed_chunk": True})
    layout = TokenLayout(K, N)
    noisy = np.random.default_rng(0).integers(0, N, (3, K, frames)).astype(np.int16)
    language_model = load_language_model(tmp_path, dtype="float32")
    answers = language_model.generate([layout.prompt(c) for c in noisy], [K * frames] * 3, layout.ranges)
    answered = np.stack([layout.unflatten(row) for row in answers])
    assert (answered == noisy).mean() > 0.9


def test_shapes_that_cannot_copy_are_refused():
    for model in (fresh(2, layers=1), fresh(4, tied=False), fresh(8, heads=8)):
        with pytest.raises(ValueError, match="copying start"):
            start_as_copy(model, fresh_codec(K, N), 12, torch.Generator())
