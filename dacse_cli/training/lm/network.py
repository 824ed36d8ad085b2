"""The network to train: a fresh one from a config, or a stored one, in float32."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.files.documents import read_config
from dacse_cli.lm.checkpoint import find_checkpoint, readable
from dacse_cli.lm.shape import parse_shape
from dacse_cli.lm.weights import TensorReader
from dacse_cli.tokens.layout import BOS, EOS, PAD, TokenLayout
from dacse_cli.training.codec.network import stored_codec
from dacse_cli.training.export import write_json, write_network
from dacse_cli.training.lm.copy_start import start_as_copy
from dacse_cli.training.lm.embeddings import start_embeddings

SLOTS = ("bos_token_id", "eos_token_id", "pad_token_id", "attention_dropout", "initializer_range")
"""Keys of a config that are not part of the shape but are kept."""


def fresh_network(
    config: Mapping[str, Any], seed: int, codec: Path | None = None, copy_frames: int | None = None
) -> LlamaForCausalLM:
    """A network with random weights; with `codec` its embeddings start from that codec's codebooks.

    With `copy_frames` it is also initialised to copy chunks of this many frames. Raises `UsageError` for a
    shape that cannot copy.
    """
    torch.manual_seed(seed)
    model = LlamaForCausalLM(_llama_config(config))
    generator = torch.Generator().manual_seed(seed)
    if codec is not None and copy_frames is None:
        start_embeddings(model, stored_codec(codec), generator)
    elif codec is not None and copy_frames is not None:
        try:
            start_as_copy(model, stored_codec(codec), copy_frames, generator)
        except ValueError as error:
            raise UsageError(str(error)) from None
    return model


def stored_network(folder: Path, layout: TokenLayout) -> LlamaForCausalLM:
    """The network in `folder`, checked as for generation. Raises `CheckpointError`."""
    config = read_config(folder / "config.json", CheckpointError)
    found = find_checkpoint(folder, parse_shape(config), layout.vocab_size)
    model = LlamaForCausalLM(_llama_config(config))
    state = model.state_dict()  # a tied head is the embedding's own memory
    with readable(folder), ExitStack() as stack:
        reader = TensorReader(found, torch.device("cpu"), stack)
        for name in found:
            state[name].copy_(reader.read(name, torch.float32))
    return model


def _llama_config(config: Mapping[str, Any]) -> LlamaConfig:
    """`transformers`' config from a checked one; unknown keys are ignored."""
    shape = parse_shape(config)
    return LlamaConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=shape.max_positions,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        rms_norm_eps=shape.eps,
        tie_word_embeddings=shape.tied,
        attention_bias=shape.attention_bias,
        mlp_bias=shape.mlp_bias,
        attn_implementation="sdpa",
        **{key: config[key] for key in SLOTS if config.get(key) is not None},
    )


def write_language_model(
    folder: Path, model: LlamaForCausalLM, card: Mapping[str, Any], dtype: torch.dtype = torch.bfloat16
) -> None:
    """Write `model` as `dtype`, and `card` as `dacse.json` (codec, chunk_seconds, training, licence)."""
    tensors = dict(model.state_dict())
    if model.config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    write_network(folder, model.config, tensors, dtype, type(model).__name__)
    GenerationConfig(bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD).save_pretrained(folder)
    write_json(folder / "dacse.json", card)
