"""Codebooks by Euclidean distance that follow the latents, and their exact form inside a `DacModel`.

`DacVectorQuantize` looks a latent y up by cosine: argmax <y, e> / |e|. With one more dimension, in which
every latent is the constant R and every code is sqrt(R^2 - |c|^2), all codes have length R and <(y, R), (c,
sqrt(R^2 - |c|^2))> = <y, c> + R^2 - |c|^2 / 2 - O(|c|^4 / R^2): the argmin of |y - c|^2. So k-means
codebooks, which can represent how loud a frame is, go into the released format; the constant is the bias of
`in_proj`, and `out_proj` ignores it. R = 4 max |c| keeps the quartic term below a percent and float32 exact
enough. (bfloat16 is not: R fills its mantissa. Look codes up in float32.)

Codebooks follow the latents by exponential moving averages; projections learn through the straight-through
estimate. Codes that are no longer used are replaced by latents of the batch, for both ways of learning
codebooks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DacConfig, DacModel

LENGTH = 4.0
"""R as a multiple of the longest code's length."""
DECAY = 0.98
"""Decay of the moving averages per step."""
FAIR_SHARE = 0.05
"""A code used less than this share of its frequency in a uniform distribution counts as unused."""


@dataclass(frozen=True)
class Quantised:
    """`latent` [B, H, T] with gradients to the encoder, `commitment` (mean over H), `codes` [B, K, T],
    `asked` [K, B*T, d]: the latents that each codebook was asked about."""

    latent: Tensor
    commitment: Tensor
    codes: Tensor
    asked: Tensor


class Codebook(nn.Module):
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

    def nearest(self, latents: Tensor) -> Tensor:
        """Latents [rows, d] -> indices [rows]."""
        return (self.codes.square().sum(1) - 2.0 * latents @ self.codes.t()).argmin(1)


class AverageQuantizer(nn.Module):
    """`n_codebooks` codebooks, each coding the residual of those before."""

    def __init__(self, config: DacConfig) -> None:
        super().__init__()
        dim = config.codebook_dim - 1  # one dimension is the constant
        self.books: Sequence[Codebook] = nn.ModuleList(  # type: ignore[assignment]
            Codebook(config.hidden_size, dim, config.codebook_size) for _ in range(config.n_codebooks)
        )

    def forward(self, latent: Tensor, keep: Tensor | None = None) -> Quantised:
        """Quantise `latent` [B, H, T]; row b uses the first `keep[b]` codebooks only (quantizer dropout)."""
        B, H, T = latent.shape
        residual = latent.transpose(1, 2).reshape(B * T, H)
        total, commitment = torch.zeros_like(residual), residual.new_zeros(())
        codes, asked = [], []
        for k, book in enumerate(self.books):
            low = residual @ book.project.t()
            indices = book.nearest(low.detach())
            chosen = book.codes[indices]
            commitment = commitment + (low - chosen).square().sum(1).mean() / H
            high = (low + (chosen - low).detach()) @ book.restore.t()
            if keep is not None:
                high = high * (k < keep).float().repeat_interleave(T)[:, None]
            total, residual = total + high, residual - high
            codes.append(indices.view(B, T))
            asked.append(low.detach())
        quantised = total.view(B, T, H).transpose(1, 2)
        return Quantised(quantised, commitment, torch.stack(codes, 1), torch.stack(asked))

    @torch.no_grad()
    def start(
        self,
        latents: Tensor,
        rows_per_step: int,
        generator: torch.Generator,
        rounds: int = 12,
        weights: Tensor | None = None,
    ) -> None:
        """k-means on `latents` [rows, H], codebook by codebook, each in the main directions of the residual.

        `weights` [rows], of mean 1, say how much each latent counts.
        """
        residual = latents
        weights = latents.new_ones(len(latents)) if weights is None else weights
        for book in self.books:
            dim = book.project.shape[0]
            _, directions = torch.linalg.eigh((residual * weights[:, None]).t() @ residual / len(residual))
            book.project.copy_(directions[:, -dim:].t())
            book.restore.copy_(directions[:, -dim:])
            low = residual @ book.project.t()
            counts = k_means(book, low, generator, rounds, weights)
            book.counts.copy_(counts / len(low) * rows_per_step)  # the stationary value of the moving average
            book.sums.copy_(book.codes * book.counts[:, None])
            residual = residual - book.codes[book.nearest(low)] @ book.restore.t()

    @torch.no_grad()
    def update(self, tallies: Sequence[Tensor]) -> None:
        """Move the codes by the `tallies` [N, d + 1] of one batch, summed over all processes."""
        for book, tally in zip(self.books, tallies, strict=True):
            book.counts.mul_(DECAY).add_(tally[:, 0], alpha=1.0 - DECAY)
            book.sums.mul_(DECAY).add_(tally[:, 1:], alpha=1.0 - DECAY)
            book.codes.copy_(book.sums / book.counts[:, None].clamp(min=1e-6))

    def unused(self, rows: int) -> Tensor:
        """Codes [K, N] whose average is below `FAIR_SHARE` where a step has `rows` latents."""
        counts = torch.stack([book.counts for book in self.books])
        return counts < FAIR_SHARE * rows / counts.shape[1]

    @torch.no_grad()
    def replace(self, unused: Tensor, found: Sequence[Tensor], rows: int) -> None:
        """Replace the codes `unused` [K, N] by the latents `found` for them, with half of a fair share."""
        for book, which, latents in zip(self.books, unused, found, strict=True):
            share = rows / len(book.codes)
            book.counts[which] = share / 2
            book.sums[which] = latents * share / 2
            book.codes.copy_(book.sums / book.counts[:, None].clamp(min=1e-6))

    @torch.no_grad()
    def write_into(self, model: DacModel) -> None:
        """The same look-up as `DacModel` weights (see the module's text)."""
        for book, target in zip(self.books, model.quantizer.quantizers, strict=True):
            square = book.codes.square().sum(1, keepdim=True)  # [N, 1]
            length = LENGTH * square.max().sqrt()
            target.codebook.weight.copy_(torch.cat([book.codes, (length**2 - square).sqrt()], 1))
            target.in_proj.weight.zero_()
            target.in_proj.weight[:-1, :, 0] = book.project
            target.in_proj.bias.zero_()
            target.in_proj.bias[-1] = length
            target.out_proj.weight.zero_()
            target.out_proj.weight[:, :-1, 0] = book.restore
            target.out_proj.bias.zero_()

    @torch.no_grad()
    def read_from(self, model: DacModel, rows_per_step: int) -> bool:
        """Inverse of `write_into`; False, and nothing done, where `model` has codebooks of another kind."""
        for stored in model.quantizer.quantizers:
            others = (stored.in_proj.bias[:-1], stored.out_proj.weight[:, -1], stored.in_proj.weight[-1])
            if any(bool(tensor.any()) for tensor in others):
                return False
        for book, stored in zip(self.books, model.quantizer.quantizers, strict=True):
            book.project.copy_(stored.in_proj.weight[:-1, :, 0])
            book.restore.copy_(stored.out_proj.weight[:, :-1, 0])
            book.codes.copy_(stored.codebook.weight[:, :-1])
            book.counts.fill_(rows_per_step / len(book.codes))
            book.sums.copy_(book.codes * book.counts[:, None])
        return True


def tallies(codes: Tensor, asked: Tensor, size: int) -> Tensor:
    """How often each code was chosen, and the sum of the latents that it was chosen for [K, N, d + 1].

    `codes` [B, K, T] are those of the latents `asked` [K, B*T, d].
    """
    K, rows, _ = asked.shape
    indices = codes.transpose(0, 1).reshape(K, rows)
    parts = torch.cat([asked.new_ones(K, rows, 1), asked], 2)
    return torch.stack(
        [
            part.new_zeros(size, part.shape[1]).index_add_(0, index, part)
            for part, index in zip(parts, indices, strict=True)
        ]
    )


def count_codes(codes: Tensor, size: int) -> Tensor:
    """How often each code occurs [K, N] in `codes` [B, K, T]."""
    rows = codes.transpose(0, 1).flatten(1)
    return torch.zeros(len(rows), size, device=codes.device).scatter_add_(
        1, rows, torch.ones_like(rows).float()
    )


def perplexity(counts: Tensor) -> Tensor:
    """e to the entropy of each row of `counts` [K, N]: how many equally used codes would be as good [K]."""
    p = counts / counts.sum(dim=1, keepdim=True).clamp(min=1.0)
    return torch.exp(torch.special.entr(p).sum(dim=1))


def sample_replacements(asked: Tensor, unused: Tensor, generator: torch.Generator) -> list[Tensor]:
    """For each codebook as many latents [n, d] of `asked` [K, rows, d] as it has codes `unused` [K, N]."""
    counts = unused.sum(1).tolist()
    picks = [torch.randint(asked.shape[1], (count,), generator=generator) for count in counts]
    return [latents[pick.to(latents.device)] for latents, pick in zip(asked, picks, strict=True)]


@torch.no_grad()
def replace_codes(quantizer: Any, unused: Tensor, found: Sequence[Tensor]) -> None:
    """Replace the codes `unused` [K, N] of a `DacModel`'s quantizer by the latents `found` for them."""
    for book, which, latents in zip(quantizer.quantizers, unused, found, strict=True):
        book.codebook.weight[which] = latents


@torch.no_grad()
def k_means(
    book: Codebook, latents: Tensor, generator: torch.Generator, rounds: int, weights: Tensor
) -> Tensor:
    """Lloyd's rounds from latents [rows, d] drawn among all; sets `book.codes`.

    `weights` [rows] say how much each latent counts. Returns the sum of weights of each code [N].
    """
    size = len(book.codes)

    def drawn() -> Tensor:
        return latents[torch.randint(len(latents), (size,), generator=generator).to(latents.device)]

    book.codes.copy_(drawn())
    counts = latents.new_zeros(size)
    for _ in range(rounds):
        indices = book.nearest(latents)
        counts = torch.bincount(indices, weights=weights, minlength=size).to(latents.dtype)
        sums = torch.zeros_like(book.codes).index_add_(0, indices, latents * weights[:, None])
        means = sums / counts.clamp(min=1e-6)[:, None]
        book.codes.copy_(torch.where(counts[:, None] > 0, means, drawn()))
    return counts
