"""What to write next after a past that is not right: the code nearest to what is still missing.

A residual quantizer's later codes say what its earlier ones left. Once an earlier code of a frame is wrong,
the clean later ones no longer fit it; the fitting one can be looked up, for the codec is at hand. So the
model is shown its own mistakes and told how to make up for them (imitation with an expert that can be asked
anywhere: Ross, Gordon and Bagnell 2011).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DacModel


class ResidualTargets:
    """Asks the codebooks of `codec`. Latents are those the clean codes stand for."""

    def __init__(self, codec: DacModel) -> None:
        self._quantizers: Any = codec.quantizer.quantizers.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, clean: Tensor, read: Tensor) -> Tensor:
        """Targets [B, K, T]: `clean` where the frame's codes so far in `read` are clean, else the nearest.

        `clean` and `read` are codes [B, K, T].
        """
        residual = self._latent(clean)  # [B, H, T]
        right = torch.ones_like(clean[:, 0], dtype=torch.bool)
        targets = []
        for k, quantizer in enumerate(self._quantizers):
            _, nearest = quantizer.decode_latents(quantizer.in_proj(residual))
            targets.append(torch.where(right, clean[:, k], nearest))
            right = right & (read[:, k] == clean[:, k])
            residual = residual - self._vector(k, read[:, k])
        return torch.stack(targets, dim=1)

    def _latent(self, codes: Tensor) -> Tensor:
        return torch.stack([self._vector(k, codes[:, k]) for k in range(codes.shape[1])]).sum(0)

    def _vector(self, k: int, codes: Tensor) -> Tensor:
        """Codes [B, T] of codebook k -> what they add to the latent [B, H, T]."""
        quantizer = self._quantizers[k]
        vectors: Tensor = quantizer.out_proj(quantizer.codebook(codes).transpose(1, 2))
        return vectors
