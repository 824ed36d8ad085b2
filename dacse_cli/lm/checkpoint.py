"""A model folder -> a `LanguageModel`, or a `CheckpointError` that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError

from dacse_cli.errors import CheckpointError
from dacse_cli.lm.cpu.attention import fastest_dtype
from dacse_cli.lm.device import resolve_device, resolve_dtype
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.model import Llama
from dacse_cli.lm.shape import read_shape
from dacse_cli.lm.shards import compare, find_tensors
from dacse_cli.lm.weights import load_weights

IGNORED = (".rotary_emb.inv_freq",)  # constants old transformers versions stored along


def load_language_model(
    folder: Path,
    *,
    device: str = "cpu",
    dtype: str = "auto",
    vocab_size: int | None = None,
    kv: str = "auto",
) -> LanguageModel:
    """Load the `LlamaForCausalLM` in `folder`: `config.json` and safetensors, single or sharded.

    Every name, shape and value is checked before the first token. `vocab_size` is what the codec's layout
    needs; `kv` is what the cache holds, `auto` (the same numbers as the network), `int8` or `fp8`. Raises
    `CheckpointError`, or `DeviceError` for a device or dtype that is not there.
    """
    where = torch.device(resolve_device(device))
    kind = resolve_dtype(dtype, device=str(where))
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder")
    shape = read_shape(folder)
    if dtype == "auto" and where.type == "cpu":
        kind = fastest_dtype(shape)
    if vocab_size is not None and shape.vocab_size != vocab_size:
        raise CheckpointError(
            f"the model in {folder} has {shape.vocab_size} tokens, the codec's layout needs {vocab_size}",
            hint="name the codec this model was trained with (--codec)",
        )
    stored = find_tensors(folder).items()
    found = {name: tensor for name, tensor in stored if not name.endswith(IGNORED)}
    compare(found, shape.tensors(), shape.optional_tensors())
    try:
        with torch.inference_mode():
            network = Llama(shape, load_weights(found, shape, where, kind))
            return LanguageModel(network, kv=kv)
    except (SafetensorError, OSError) as error:  # the files changed since their headers were read
        raise CheckpointError(f"the weights in {folder} cannot be read: {error}") from error
