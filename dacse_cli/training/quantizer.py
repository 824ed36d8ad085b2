"""Residual vector quantisation by Euclidean distance, and its exact form inside a `DacModel`.

`DacVectorQuantize` looks a latent y up by cosine: argmax <y, e> / |e|. With one dimension more, in which
every latent is the constant R and every code is sqrt(R^2 - |c|^2), all codes have length R and <(y, R), (c,
sqrt(R^2 - |c|^2))> = <y, c> + R^2 - |c|^2 / 2 - O(|c|^4 / R^2): the argmin of |y - c|^2. So k-means
codebooks, which can say how loud a frame is, go into the released format; the constant sits in `in_proj`'s
bias and `out_proj` ignores it. R = 4 max |c| keeps the quartic term below a percent and float32 exact
enough.

Codebooks follow the latents by exponential moving averages; projections learn through the straight-through
estimate. Codes that fall out of use are put on a latent of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DacConfig, DacModel

LENGTH = 4.0
"""R over the longest code."""


@dataclass(frozen=True)
class Quantised:
    """`latent` [B, H, T] with gradients to the encoder, `commitment` (mean over H), `codes` [B, K, T]."""

    latent: Tensor
    commitment: Tensor
    codes: Tensor


class Stage(nn.Module):
    """One codebook: project [H] to [d], take the nearest of N codes, project back."""

    codes: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, hidden: int, dim: int, size: int) -> None:
        super().__init__()
        self.project = nn.Parameter(torch.zeros(dim, hidden))
        self.restore = nn.Parameter(torch.zeros(hidden, dim))
        self.register_buffer("codes", torch.zeros(size, dim))
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", torch.zeros(size, dim))
        self.seen = torch.zeros(0, dim)
        """Latents [rows, d] of the last training batch."""
        self.tally = torch.zeros(size, dim + 1)
        """Of the last training batch, a row a code: how many latents, and their sum."""

    def nearest(self, latents: Tensor) -> Tensor:
        """Latents [rows, d] -> indices [rows]."""
        return (self.codes.square().sum(1) - 2.0 * latents @ self.codes.t()).argmin(1)

    def watch(self, latents: Tensor, indices: Tensor) -> None:
        """Remember a batch for `update`."""
        ones = torch.ones(len(latents), 1)
        self.seen = latents
        self.tally = torch.zeros_like(self.tally).index_add_(0, indices, torch.cat([ones, latents], 1))


class ResidualQuantizer(nn.Module):
    """`n_codebooks` stages, each coding what the ones before left."""

    def __init__(self, config: DacConfig) -> None:
        super().__init__()
        dim = config.codebook_dim - 1  # one is the constant
        self.stages: Sequence[Stage] = nn.ModuleList(  # type: ignore[assignment]
            Stage(config.hidden_size, dim, config.codebook_size) for _ in range(config.n_codebooks)
        )

    def forward(self, latent: Tensor, keep: Tensor | None = None) -> Quantised:
        """Quantise `latent` [B, H, T]; row b uses the first `keep[b]` stages only (quantizer dropout)."""
        B, H, T = latent.shape
        residual = latent.transpose(1, 2).reshape(B * T, H)
        total, commitment, codes = torch.zeros_like(residual), residual.new_zeros(()), []
        for k, stage in enumerate(self.stages):
            low = residual @ stage.project.t()
            with torch.no_grad():
                indices = stage.nearest(low)
                if self.training:
                    stage.watch(low.detach(), indices)
            chosen = stage.codes[indices]
            commitment = commitment + (low - chosen).square().sum(1).mean() / H
            high = (low + (chosen - low).detach()) @ stage.restore.t()
            if keep is not None:
                high = high * (k < keep).float().repeat_interleave(T)[:, None]
            total, residual = total + high, residual - high
            codes.append(indices.view(B, T))
        return Quantised(total.view(B, T, H).transpose(1, 2), commitment, torch.stack(codes, 1))

    @torch.no_grad()
    def start(
        self,
        latents: Tensor,
        rows_a_step: int,
        generator: torch.Generator,
        rounds: int = 12,
        weights: Tensor | None = None,
    ) -> None:
        """k-means on `latents` [rows, H], stage by stage, each in the main directions of what is left.

        `weights` [rows], of mean 1, say how much each latent counts.
        """
        residual = latents
        weights = latents.new_ones(len(latents)) if weights is None else weights
        for stage in self.stages:
            dim = stage.project.shape[0]
            _, directions = torch.linalg.eigh((residual * weights[:, None]).t() @ residual / len(residual))
            stage.project.copy_(directions[:, -dim:].t())
            stage.restore.copy_(directions[:, -dim:])
            low = residual @ stage.project.t()
            counts = _k_means(stage, low, generator, rounds, weights)
            stage.counts.copy_(counts / len(low) * rows_a_step)  # what the moving average holds when at rest
            stage.sums.copy_(stage.codes * stage.counts[:, None])
            residual = residual - stage.codes[stage.nearest(low)] @ stage.restore.t()

    @torch.no_grad()
    def update(self, tallies: Sequence[Tensor], decay: float = 0.98) -> None:
        """Move the codes by one batch's tallies, one [N, d + 1] a stage, summed over all processes."""
        for stage, tally in zip(self.stages, tallies, strict=True):
            stage.counts.mul_(decay).add_(tally[:, 0], alpha=1.0 - decay)
            stage.sums.mul_(decay).add_(tally[:, 1:], alpha=1.0 - decay)
            stage.codes.copy_(stage.sums / stage.counts[:, None].clamp(min=1e-6))

    @torch.no_grad()
    def revive(self, rows_a_step: int, generator: torch.Generator, below: float = 0.05) -> int:
        """Put codes with less than `below` of their fair share on latents of the last batch; how many."""
        revived = 0
        for stage in self.stages:
            share = rows_a_step / len(stage.codes)
            dead = stage.counts < below * share
            count = int(dead.sum())
            if count and len(stage.seen):
                picks = torch.randint(len(stage.seen), (count,), generator=generator)
                stage.counts[dead] = share / 2
                stage.sums[dead] = stage.seen[picks] * share / 2
                stage.codes.copy_(stage.sums / stage.counts[:, None].clamp(min=1e-6))
                revived += count
        return revived

    @torch.no_grad()
    def write_into(self, model: DacModel) -> None:
        """The same look-up as `DacModel` weights (see the module's text)."""
        for stage, target in zip(self.stages, model.quantizer.quantizers, strict=True):
            square = stage.codes.square().sum(1, keepdim=True)  # [N, 1]
            length = LENGTH * square.max().sqrt()
            target.codebook.weight.copy_(torch.cat([stage.codes, (length**2 - square).sqrt()], 1))
            target.in_proj.weight.zero_()
            target.in_proj.weight[:-1, :, 0] = stage.project
            target.in_proj.bias.zero_()
            target.in_proj.bias[-1] = length
            target.out_proj.weight.zero_()
            target.out_proj.weight[:, :-1, 0] = stage.restore
            target.out_proj.bias.zero_()


def _k_means(
    stage: Stage, latents: Tensor, generator: torch.Generator, rounds: int, weights: Tensor
) -> Tensor:
    """Lloyd's rounds from drawn latents; sets `stage.codes`, returns how many latents each has [N]."""
    size = len(stage.codes)
    stage.codes.copy_(latents[torch.randint(len(latents), (size,), generator=generator)])
    counts = torch.zeros(size)
    for _ in range(rounds):
        indices = stage.nearest(latents)
        counts = torch.bincount(indices, weights=weights, minlength=size).float()
        sums = torch.zeros_like(stage.codes).index_add_(0, indices, latents * weights[:, None])
        empty = torch.randint(len(latents), (size,), generator=generator)
        stage.codes.copy_(
            torch.where(counts[:, None] > 0, sums / counts.clamp(min=1e-6)[:, None], latents[empty])
        )
    return counts
