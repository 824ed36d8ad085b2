"""From a checkpoint's tensors to the fused, checked weights the network multiplies with.

Two rearrangements at load, both exact: query, key and value (and gate and up) become one matrix each, and
the rows of every query and key head are interleaved so that the two numbers one rotary angle turns lie
side by side (`interleave`).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from dacse_cli.errors import CheckpointError
from dacse_cli.lm.linear import Linear, make_linear
from dacse_cli.lm.shape import LlamaShape
from dacse_cli.weights.stored import StoredTensor


@dataclass(frozen=True)
class Block:
    """One decoder layer. Norm weights are float32 `[hidden]`."""

    attention_norm: Tensor
    qkv: Linear
    output: Linear
    mlp_norm: Tensor
    gate_up: Linear
    down: Linear


@dataclass(frozen=True)
class Weights:
    """A whole network. `embedding` `[V, hidden]` in the working dtype, `head` `[V, hidden]` float32."""

    embedding: Tensor
    blocks: tuple[Block, ...]
    norm: Tensor
    head: Tensor


def load_weights(
    found: dict[str, StoredTensor], shape: LlamaShape, device: torch.device, dtype: torch.dtype
) -> Weights:
    """Read tensors whose names, types and shapes have been checked. Raises `CheckpointError`."""
    with ExitStack() as stack:
        reader = TensorReader(found, device, stack)
        embedding = reader.read("model.embed_tokens.weight", dtype)
        return Weights(
            embedding=embedding,
            blocks=tuple(
                _load_block(reader, f"model.layers.{i}.", shape, dtype) for i in range(shape.layers)
            ),
            norm=reader.read("model.norm.weight", torch.float32),
            head=_load_head(reader, shape, embedding),
        )


class TensorReader:
    """Reads tensors by name, converts, moves and checks them; shard files stay open between reads."""

    def __init__(self, found: dict[str, StoredTensor], device: torch.device, stack: ExitStack) -> None:
        self.found, self.device, self.stack = found, device, stack
        self.files: dict[Path, Any] = {}

    def has(self, name: str) -> bool:
        """Whether there is such a tensor."""
        return name in self.found

    def read(self, name: str, dtype: torch.dtype) -> Tensor:
        """A tensor on the device. Raises `CheckpointError` for NaN and infinity."""
        stored = self.found[name]
        if stored.file not in self.files:
            self.files[stored.file] = self.stack.enter_context(safe_open(stored.file, framework="pt"))
        # a copy: the mapped file may change or vanish later
        tensor: Tensor = self.files[stored.file].get_tensor(name).to(self.device, dtype, copy=True)
        if not bool(torch.stack(torch.aminmax(tensor)).isfinite().all()):
            raise CheckpointError(f"{stored.file.name}: {name} holds NaN or infinite values as {dtype}")
        return tensor


def _load_block(reader: TensorReader, prefix: str, shape: LlamaShape, dtype: torch.dtype) -> Block:
    def parts(names: str, kind: str) -> list[Tensor]:
        return [reader.read(f"{prefix}{name}.{kind}", dtype) for name in names.split()]

    def linear(names: str, bias: bool) -> Linear:
        weight = torch.cat(parts(names, "weight"))
        return make_linear(weight, torch.cat(parts(names, "bias")) if bias else None)

    def norm(name: str) -> Tensor:
        return reader.read(f"{prefix}{name}.weight", torch.float32)

    def qkv(kind: str) -> Tensor:
        q, k, v = parts("self_attn.q_proj self_attn.k_proj self_attn.v_proj", kind)
        return torch.cat([interleave(q, shape.head_dim), interleave(k, shape.head_dim), v])

    return Block(
        attention_norm=norm("input_layernorm"),
        qkv=make_linear(qkv("weight"), qkv("bias") if shape.attention_bias else None),
        output=linear("self_attn.o_proj", shape.attention_bias),
        mlp_norm=norm("post_attention_layernorm"),
        gate_up=linear("mlp.gate_proj mlp.up_proj", shape.mlp_bias),
        down=linear("mlp.down_proj", shape.mlp_bias),
    )


def interleave(rows: Tensor, head_dim: int) -> Tensor:
    """Reorder output rows of a query or key projection: `0, D/2, 1, D/2 + 1, ...` within each head.

    Hugging Face rotates entry i with entry i + D/2. With both side by side a rotation is one complex
    multiplication. Queries and keys are reordered alike, so their products do not change.
    """
    halves = rows.reshape(-1, 2, head_dim // 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


def _load_head(reader: TensorReader, shape: LlamaShape, embedding: Tensor) -> Tensor:
    """The output matrix, float32 for every working dtype: it is small, and bfloat16 logits would tie."""
    tied = reader.read("model.embed_tokens.weight", torch.float32) if shape.tied else None
    if tied is None:
        return reader.read("lm_head.weight", torch.float32)
    if reader.has("lm_head.weight") and not torch.equal(reader.read("lm_head.weight", torch.float32), tied):
        raise CheckpointError("config.json ties the head to the embedding, but the stored lm_head differs")
    return embedding if embedding.dtype is torch.float32 else tied
