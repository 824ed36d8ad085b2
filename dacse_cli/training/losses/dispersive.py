"""Dispersive loss: spreads the latents of a batch over the latent space."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def dispersive_loss(latents: Tensor) -> Tensor:
    """Mean squared cosine of all pairs of different rows of `latents` [B, ...]; B is at least 2.

    Raises `ValueError` for a single row, which has no pair.
    """
    B = len(latents)
    if B < 2:
        raise ValueError("a dispersive loss needs at least 2 rows per process")
    rows = normalize(latents.flatten(1).float(), dim=1)
    squares = (rows @ rows.t()).square()
    return (squares.sum() - torch.diagonal(squares).sum()) / (B * (B - 1))
