"""A model folder -> a `LanguageModel`, or a `CheckpointError` that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from dacse_cli.errors import CheckpointError
from dacse_cli.lm.cpu.attention import fastest_dtype
from dacse_cli.lm.device import resolve_device, resolve_dtype
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.model import Llama
from dacse_cli.lm.shape import LlamaShape, read_shape
from dacse_cli.lm.weights import load_weights
from dacse_cli.weights.safetensors_file import find_tensors
from dacse_cli.weights.stored import StoredTensor, check_floats, check_shapes

IGNORED = (".rotary_emb.inv_freq",)  # constants that old transformers versions stored with the weights


def load_language_model(
    folder: Path,
    *,
    device: str = "cpu",
    dtype: str = "auto",
    vocab_size: int | None = None,
    kv: str = "auto",
) -> LanguageModel:
    """Load the `LlamaForCausalLM` in `folder`: `config.json` and safetensors, single or sharded.

    Every name, shape and value is checked before the first token. `vocab_size` is the size that the codec's
    layout needs; `kv` is the cache's format, `auto` (the same numbers as the network), `int8` or `fp8`.
    Raises `CheckpointError`, or `DeviceError` for a device or dtype that is not there.
    """
    where = torch.device(resolve_device(device))
    kind = resolve_dtype(dtype, device=str(where))
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder")
    shape = read_shape(folder)
    if dtype == "auto" and where.type == "cpu":
        kind = fastest_dtype(shape)
    found = find_checkpoint(folder, shape, vocab_size)
    with torch.inference_mode(), readable(folder):
        return LanguageModel(Llama(shape, load_weights(found, shape, where, kind)), kv=kv)


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Context manager: `CheckpointError` where the files have changed since their headers were read."""
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"the weights in {folder} cannot be read: {error}") from error


def find_checkpoint(
    folder: Path, shape: LlamaShape, vocab_size: int | None = None
) -> dict[str, StoredTensor]:
    """Where the tensors of a network of this shape lie, from the headers alone. Raises `CheckpointError`."""
    if vocab_size is not None and shape.vocab_size != vocab_size:
        raise CheckpointError(
            f"the model in {folder} has {shape.vocab_size} tokens, the codec's layout needs {vocab_size}",
            hint="Name the codec this model was trained with (`codec`).",
        )
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(
            f"{folder} holds an adapter (adapter_config.json), not a whole model",
            hint="merge the adapter into its base model and save that",
        )
    stored = find_tensors(folder, CheckpointError).items()
    found = {name: tensor for name, tensor in stored if not name.endswith(IGNORED)}
    check_floats(found, CheckpointError)
    shapes = {name: tensor.shape for name, tensor in found.items()}
    check_shapes(shapes, shape.tensors(), CheckpointError, shape.optional_tensors())
    return found
