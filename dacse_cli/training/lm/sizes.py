"""The published sizes as `config.json` dictionaries, and configs from files. Imports no torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from dacse_cli.errors import CheckpointError, UsageError, did_you_mean
from dacse_cli.files.documents import read_config
from dacse_cli.lm.shape import LlamaShape, parse_shape
from dacse_cli.tokens.layout import BOS, EOS, PAD, TokenLayout

RELEASED_LAYOUT = TokenLayout(9, 1024)
_WIDTHS = {
    # hidden, inner, layers, heads
    "250M": (1024, 3000, 18, 16),
    "1B": (1536, 6144, 24, 24),
    "2B": (2048, 8192, 29, 32),
    "4B": (2816, 11008, 32, 44),
}
SIZES = tuple(_WIDTHS)
Config = dict[str, Any]


def published_config(size: str, layout: TokenLayout = RELEASED_LAYOUT) -> Config:
    """The config of a published size for the vocabulary `layout`. Raises `UsageError`."""
    if size not in _WIDTHS:
        hint = did_you_mean(size, SIZES, f"They are {', '.join(SIZES)}.")
        raise UsageError(f"{size!r} is not a published size", hint=hint)
    hidden, inner, layers, heads = _WIDTHS[size]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": layout.vocab_size,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "head_dim": hidden // heads,
        "hidden_act": "silu",
        "max_position_embeddings": 8192,
        "rope_theta": 100_000.0,
        "rms_norm_eps": 1e-6,
        "attention_bias": False,
        "attention_dropout": 0.1,
        "initializer_range": 0.005,
        "tie_word_embeddings": True,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
    }


def config_from(path: Path, layout: TokenLayout) -> Config:
    """A config from a JSON file; its `vocab_size` may be left out, and must fit `layout`.

    Raises `CheckpointError` for a file that is not a Llama config, `UsageError` for another vocabulary.
    """
    config = {"vocab_size": layout.vocab_size, "model_type": "llama"} | read_config(path, CheckpointError)
    parse_shape(config)
    if config["vocab_size"] != layout.vocab_size:
        raise UsageError(
            f"{path} has {config['vocab_size']} tokens, the codec's codes need {layout.vocab_size}",
            hint="Leave vocab_size out, or name the codec it is for (`codec`).",
        )
    return config


def count_parameters(shape: LlamaShape) -> int:
    """Numbers in all weights; a tied head counts once."""
    return sum(math.prod(tensor) for tensor in shape.tensors().values())
