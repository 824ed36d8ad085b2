"""What a `config.json` says about a Llama, read through a list of allowed keys.

Defines the numbers of the network and the names and shapes its weights must have; opens no weights and
imports no torch. Keys outside the list (`auto_map`, `attn_implementation`, ...) are ignored, except those
that would change what the network computes, which are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dacse_cli.errors import CheckpointError
from dacse_cli.files.documents import read_config

ARCHITECTURE = "LlamaForCausalLM"
MAX_SIZE = 1 << 20  # larger than in any real model, so that a wrong number cannot cause a huge allocation
MAX_ROTATIONS = 1 << 26  # positions x head_dim: a table of half a gigabyte while it is made
MAX_LAYERS = 4096  # each has nine tensors, whose names are listed before any weight is looked for


@dataclass(frozen=True)
class LlamaShape:
    """The numbers that define a Llama."""

    vocab_size: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    max_positions: int
    rope_theta: float
    eps: float
    tied: bool
    attention_bias: bool = False
    mlp_bias: bool = False

    @property
    def qkv_heads(self) -> int:
        """Heads of the fused projection: queries, then keys, then values."""
        return self.heads + 2 * self.kv_heads

    @property
    def position_elements(self) -> int:
        """Numbers one position of one row takes in the key-value cache."""
        return 2 * self.layers * self.kv_heads * self.head_dim

    @property
    def step_weights(self) -> int:
        """Weights a decode step reads: all but the embedding table, of which it reads single rows."""
        table = self.vocab_size * self.hidden
        return sum(math.prod(shape) for shape in self.tensors().values()) - table

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every weight the checkpoint must hold; a tied head is not among them."""
        shapes: dict[str, tuple[int, ...]] = {
            "model.embed_tokens.weight": (self.vocab_size, self.hidden),
            "model.norm.weight": (self.hidden,),
        }
        if not self.tied:
            shapes["lm_head.weight"] = (self.vocab_size, self.hidden)
        for layer in range(self.layers):
            shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in self._layer_tensors().items()}
        return shapes

    def optional_tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of tensors that may be stored in addition: a copy of a tied head."""
        return {"lm_head.weight": (self.vocab_size, self.hidden)} if self.tied else {}

    def _layer_tensors(self) -> dict[str, tuple[int, ...]]:
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        projections = {
            "self_attn.q_proj": (q, self.hidden, self.attention_bias),
            "self_attn.k_proj": (kv, self.hidden, self.attention_bias),
            "self_attn.v_proj": (kv, self.hidden, self.attention_bias),
            "self_attn.o_proj": (self.hidden, q, self.attention_bias),
            "mlp.gate_proj": (self.intermediate, self.hidden, self.mlp_bias),
            "mlp.up_proj": (self.intermediate, self.hidden, self.mlp_bias),
            "mlp.down_proj": (self.hidden, self.intermediate, self.mlp_bias),
        }
        shapes: dict[str, tuple[int, ...]] = {
            "input_layernorm.weight": (self.hidden,),
            "post_attention_layernorm.weight": (self.hidden,),
        }
        for name, (rows, columns, bias) in projections.items():
            shapes[f"{name}.weight"] = (rows, columns)
            if bias:
                shapes[f"{name}.bias"] = (rows,)
        return shapes


def read_shape(folder: Path) -> LlamaShape:
    """The shape in `folder/config.json`. Raises `CheckpointError`."""
    return parse_shape(read_config(folder / "config.json", CheckpointError))


def parse_shape(config: Mapping[str, Any]) -> LlamaShape:
    """The shape in a parsed `config.json`, as transformers 4.57 or 5.x write it."""
    _refuse_other_networks(config)
    heads = _size(config, "num_attention_heads")
    hidden = _size(config, "hidden_size")
    if config.get("head_dim") is None and hidden % heads:
        raise CheckpointError(
            f"config.json: hidden_size {hidden} is not a multiple of {heads} attention heads"
        )
    shape = LlamaShape(
        vocab_size=_size(config, "vocab_size"),
        hidden=hidden,
        intermediate=_size(config, "intermediate_size"),
        layers=_size(config, "num_hidden_layers", most=MAX_LAYERS),
        heads=heads,
        kv_heads=_size(config, "num_key_value_heads", default=heads),
        head_dim=_size(config, "head_dim", default=hidden // heads),
        max_positions=_size(config, "max_position_embeddings"),
        rope_theta=_rope_theta(config),
        eps=_number(config, "rms_norm_eps"),
        tied=_flag(config, "tie_word_embeddings"),
        attention_bias=_flag(config, "attention_bias"),
        mlp_bias=_flag(config, "mlp_bias"),
    )
    if shape.heads % shape.kv_heads:
        raise CheckpointError(
            f"config.json: {shape.heads} attention heads cannot share {shape.kv_heads} key-value heads"
        )
    if shape.head_dim * shape.max_positions > MAX_ROTATIONS:
        raise CheckpointError(
            f"config.json: max_position_embeddings {shape.max_positions} x head_dim {shape.head_dim} "
            f"is more than {MAX_ROTATIONS}"
        )
    if shape.head_dim % 2:
        raise CheckpointError(f"config.json: head_dim {shape.head_dim} is odd, rotary positions need pairs")
    return shape


def _refuse_other_networks(config: Mapping[str, Any]) -> None:
    named = config.get("architectures") or [ARCHITECTURE]
    if named != [ARCHITECTURE] or config.get("model_type") != "llama":
        raise CheckpointError(
            f"config.json describes {named} (model_type {config.get('model_type')!r}), "
            f"dacse runs a {ARCHITECTURE} (model_type 'llama')"
        )
    for key, harmless in {
        "quantization_config": (None,),
        "sliding_window": (None,),
        "hidden_act": ("silu", "swish"),
        "partial_rotary_factor": (None, 1, 1.0),
    }.items():
        if key in config and config[key] not in harmless:
            raise CheckpointError(f"config.json: {key} = {config[key]!r} is not supported")


def _rope_theta(config: Mapping[str, Any]) -> float:
    """The rotary base from `rope_parameters` (5.x) or `rope_theta` (4.57); never a default.

    With a default of 10000, a model trained at 100000 would load without error and generate nonsense.
    """
    found = {}
    for key in ("rope_parameters", "rope_scaling"):
        rope = config.get(key)
        if rope is None:
            continue
        if not isinstance(rope, dict):
            raise CheckpointError(f"config.json: {key} must be an object, not {rope!r}")
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default" or rope.get("partial_rotary_factor", 1) != 1:
            raise CheckpointError(f"config.json: rotary scaling {rope!r} is not supported")
        if "rope_theta" in rope:
            found[key] = _number(rope, "rope_theta")
    if config.get("rope_theta") is not None:
        found["rope_theta"] = _number(config, "rope_theta")
    if not found:
        raise CheckpointError("config.json names no rope_theta (in rope_parameters or beside it)")
    if len(set(found.values())) > 1:
        raise CheckpointError(f"config.json names different rotary bases: {found}")
    return next(iter(found.values()))


def _size(config: Mapping[str, Any], key: str, *, default: int | None = None, most: int = MAX_SIZE) -> int:
    value = config.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise CheckpointError(f"config.json: {key} must be a whole number from 1 to {most}, not {value!r}")
    return value


def _number(config: Mapping[str, Any], key: str) -> float:
    value = config.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 < value < math.inf):
        raise CheckpointError(f"config.json: {key} must be a positive number, not {value!r}")
    return float(value)


def _flag(config: Mapping[str, Any], key: str) -> bool:
    value = config.get(key, False)
    if not isinstance(value, bool):
        raise CheckpointError(f"config.json: {key} must be true or false, not {value!r}")
    return value
