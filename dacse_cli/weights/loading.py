"""Weights for a network whose names and shapes are known: checked, in float32, weight norm folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dacse_cli.errors import ModelError
from dacse_cli.weights.folding import fold_weight_norm, folded_shapes
from dacse_cli.weights.safetensors_file import find_tensors, read_tensors
from dacse_cli.weights.stored import HasShape, Shape, check_floats, check_shapes

if TYPE_CHECKING:
    from torch import Tensor

_AT_ONCE = 32
"""Tensors per read; every read opens the file and parses its header."""
Read = Callable[[Iterable[str]], dict[str, "Tensor"]]
"""A function that reads tensors by their names in the file."""


def load_folder(folder: Path, expected: Mapping[str, Shape], failure: type[ModelError]) -> dict[str, Tensor]:
    """The safetensors in `folder` as the float32 tensors `expected`, weight norm folded. Raises `failure`."""
    found = find_tensors(folder, failure)
    return load_tensors(found, lambda names: read_tensors(found, names, failure), expected, failure)


def load_tensors(
    found: Mapping[str, HasShape],
    read: Read,
    expected: Mapping[str, Shape],
    failure: type[ModelError],
) -> dict[str, Tensor]:
    """The tensors `expected` (names and shapes after folding) on the CPU.

    No tensor is read before all names, types and shapes have been checked. Raises `failure`.
    """
    import torch

    check_floats(found, failure)
    check_shapes(
        folded_shapes({name: tensor.shape for name, tensor in found.items()}, failure), expected, failure
    )
    weights: dict[str, Tensor] = {}
    names = list(found)
    for first in range(0, len(names), _AT_ONCE):
        for name, stored in read(names[first : first + _AT_ONCE]).items():
            tensor = stored.to(torch.float32)
            if not torch.isfinite(tensor).all():
                raise failure(
                    f"weights: {name:.200} holds NaN or infinite values", hint="Download them again."
                )
            weights[name] = tensor
    return fold_weight_norm(weights, failure)
