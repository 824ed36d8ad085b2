"""Folds weight norm: gain g and direction v become weight = g v / |v|, |v| over all axes but the first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dacse_cli.errors import ModelError
from dacse_cli.weights.stored import Shape

if TYPE_CHECKING:
    from torch import Tensor

_NAMES = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)
"""Names of gain and direction as torch's old and new weight norm store them."""


def folded_shapes(stored: Mapping[str, Shape], failure: type[ModelError]) -> dict[str, Shape]:
    """Names and shapes after folding. Raises `failure` for a gain without the direction it belongs to."""
    folded = dict(stored)
    for stem, gain, direction in _pairs(stored):
        if direction not in stored:
            raise failure(f"weights: {gain:.200} has no {direction:.200}")
        shape = folded.pop(direction)
        if not shape or folded.pop(gain) != (shape[0], *[1] * (len(shape) - 1)):
            raise failure(f"weights: {gain:.200} of shape {list(stored[gain])} does not fit {list(shape)}")
        folded[stem + ".weight"] = shape
    return folded


def fold_weight_norm(weights: dict[str, Tensor], failure: type[ModelError]) -> dict[str, Tensor]:
    """Fold `weights` in place, so that no tensor is held twice, and return it.

    Raises `failure` if tensors do not belong together or a direction has length 0.
    """
    import torch

    folded_shapes({name: tuple(tensor.shape) for name, tensor in weights.items()}, failure)
    for stem, gain_name, direction_name in _pairs(weights):
        direction, gain = weights.pop(direction_name), weights.pop(gain_name)
        axes = tuple(range(1, direction.ndim))
        length = torch.linalg.vector_norm(direction, dim=axes, keepdim=True) if axes else direction.abs()
        weight = direction * (gain / length)
        if not torch.isfinite(weight).all():
            raise failure(f"weights: {stem:.200} has a direction of length 0, or values too large")
        weights[stem + ".weight"] = weight
    return weights


def _pairs(names: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """(stem, name of the gain, name of the direction) for every gain."""
    return [
        (name.removesuffix(gain), name, name.removesuffix(gain) + direction)
        for gain, direction in _NAMES
        for name in names
        if name.endswith(gain)
    ]
