"""Which codes of each codebook are used, and new places for those that are not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DacModel


@dataclass
class Usage:
    """How often each code was taken since they were last looked at [K, N]."""

    counts: Tensor

    @staticmethod
    def of(codebooks: int, size: int) -> Usage:
        """Nothing taken yet."""
        return Usage(torch.zeros(codebooks, size))

    def shares(self) -> Tensor:
        """Share of each codebook's codes that were taken [K]."""
        return (self.counts > 0).float().mean(dim=1)

    def perplexity(self) -> Tensor:
        """e to the entropy of each codebook [K]: how many codes it is as good as."""
        p = self.counts / self.counts.sum(dim=1, keepdim=True).clamp(min=1.0)
        return torch.exp(torch.special.entr(p).sum(dim=1))

    def add(self, taken: Tensor) -> None:
        """Counts of one step [K, N], over all processes."""
        self.counts += taken.cpu()

    def dead(self) -> Tensor:
        """Codes that were not taken once [K, N]."""
        return self.counts == 0

    def reset(self) -> None:
        """Begin again."""
        self.counts.zero_()


def taken(codes: Tensor, size: int) -> Tensor:
    """How often each code occurs [K, N] in `codes` [B, K, T]."""
    rows = codes.transpose(0, 1).flatten(1)
    return torch.stack([torch.bincount(row, minlength=size) for row in rows]).float()


def places(projected: Tensor, dead: Tensor, generator: torch.Generator) -> list[Tensor]:
    """For each codebook as many drawn latents [n, d] as it has dead codes.

    `projected` [B, K*d, T] are the latents that the codebooks were asked about.
    """
    B, _, T = projected.shape
    K = len(dead)
    latents = projected.reshape(B, K, -1, T).permute(1, 0, 3, 2).reshape(K, B * T, -1)
    found = []
    for k in range(K):
        picks = torch.randint(B * T, (int(dead[k].sum()),), generator=generator)
        found.append(latents[k, picks.to(latents.device)])
    return found


@torch.no_grad()
def move(model: DacModel, dead: Tensor, found: list[Tensor]) -> None:
    """Put the dead codes of each codebook on the latents found for it."""
    for quantizer, which, latents in zip(model.quantizer.quantizers, dead, found, strict=True):
        quantizer.codebook.weight[which.to(latents.device)] = latents
