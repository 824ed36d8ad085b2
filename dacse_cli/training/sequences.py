"""Codes -> ids, as tensors of many rows; the layout is that of `tokens.layout`."""

from __future__ import annotations

import torch
from torch import Tensor

from dacse_cli.tokens.layout import SPECIALS


def flatten(codes: Tensor, codebook_size: int) -> Tensor:
    """Codes [B, K, T] -> ids [B, T*K], time-major."""
    B, K, T = codes.shape
    first_ids = SPECIALS + codebook_size * torch.arange(K, device=codes.device)
    return (codes + first_ids[None, :, None]).transpose(1, 2).reshape(B, T * K)
