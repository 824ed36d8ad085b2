"""How hypotheses grow by a frame, and which are kept. Pure functions on tensors; no network, no state.

A frame has K codes, independent of each other given what came before, so its score is the sum of theirs. Two
ways to propose codes for a frame:

- `ranked`, the published search: proposal n takes the n-th best code of every codebook.
- `best`: the N proposals of highest sum, whatever the ranks of their codes. They are found by merging
codebooks in pairs, pairs of pairs and so on, keeping N after each merge: the N best sums use only the N best
of each part.

Axes: `B` rows, `N` hypotheses of each, `K` codebooks, `V` codebook size, `M` proposals per hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from dacse_cli.config import MAX_BEAM
from dacse_cli.errors import UsageError
from dacse_cli.set.shape import SearchShape

Propose = Callable[[Tensor, int], tuple[Tensor, Tensor]]
"""(logits `[B, N, K, V]`, count) -> scores `[B, N, M]`, best first, and codes `[B, N, M, K]`."""


@dataclass(frozen=True)
class Kept:
    """The best hypotheses after a frame, best first."""

    codes: Tensor
    """Codes of this frame, int64 `[B, N, K]`."""
    parents: Tensor
    """Index of the hypothesis that each one continues, int64 `[B, N]`."""
    scores: Tensor
    """Sums of log-probabilities since the beginning, float32 `[B, N]`."""


def first_scores(rows: int, beam: int, device: torch.device) -> Tensor:
    """Scores `[B, N]` before the first frame: there is one hypothesis, the empty one."""
    scores = torch.full((rows, beam), -torch.inf, device=device)
    scores[:, 0] = 0.0
    return scores


def expand(logits: Tensor, scores: Tensor, propose: Propose) -> Kept:
    """The N best of all proposals; logits `[B, N, K, V]`, scores `[B, N]` of what they continue."""
    B, N, K, _ = logits.shape
    gains, codes = propose(logits, N)
    M = gains.shape[2]
    kept, places = (scores.unsqueeze(2) + gains).flatten(1).topk(N, dim=1)
    chosen = codes.flatten(1, 2).gather(1, places.unsqueeze(2).expand(B, N, K))
    return Kept(chosen, places // M, kept)


def ranked(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Proposals of equal rank in every codebook."""
    scores, codes = _best_codes(logits, count)
    return scores.sum(dim=2), codes.transpose(2, 3)


def best(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The proposals of highest sum. There are `count` of them, or as many as there are combinations."""
    scores, codes = _best_codes(logits, count)  # [B, N, K, n]
    K = codes.shape[2]
    ranks = torch.arange(codes.shape[3], device=codes.device).expand(codes.shape).unsqueeze(-1)
    while scores.shape[2] > 1:
        scores, ranks = _merge(scores, ranks, count)
    # ranks [B, N, 1, M, K] -> codes [B, N, M, K]
    chosen = codes.transpose(2, 3).gather(2, ranks[:, :, 0, :, :K])
    return scores[:, :, 0], chosen


EXPANSIONS: dict[str, Propose] = {"ranked": ranked, "best": best}
"""The functions by the names in `shape.EXPANSIONS`."""


def _best_codes(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Log-probabilities and ids `[B, N, K, n]` of the best codes of every codebook, best first."""
    logits = logits.float()
    values, codes = logits.topk(min(count, logits.shape[-1]), dim=-1)
    return values - logits.logsumexp(dim=-1, keepdim=True), codes


def _merge(scores: Tensor, ranks: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Neighbouring groups of codebooks -> half as many groups, at most `count` combinations of each kept.

    scores `[B, N, G, n]`, best first; ranks `[B, N, G, n, g]` of the g codebooks in a group.
    """
    G, n = scores.shape[2:4]
    if G % 2:  # an empty group of codebooks, with one combination of score 0
        none = scores.new_full((*scores.shape[:2], 1, n), -torch.inf)
        none[..., 0] = 0.0
        scores = torch.cat([scores, none], dim=2)
        ranks = torch.cat([ranks, torch.zeros_like(ranks[:, :, :1])], dim=2)
    left, right = _pairs(n, count, scores.device)
    sums = scores[:, :, 0::2][..., left] + scores[:, :, 1::2][..., right]  # [B, N, G / 2, pairs]
    kept, places = sums.topk(min(count, sums.shape[-1]), dim=-1)
    sides = []
    for side, index in ((ranks[:, :, 0::2], left), (ranks[:, :, 1::2], right)):
        sides.append(side.gather(3, index[places].unsqueeze(-1).expand(*places.shape, side.shape[-1])))
    return kept, torch.cat(sides, dim=-1)


@cache
def _pair_ranks(n: int, count: int) -> tuple[tuple[int, int], ...]:
    """Pairs of ranks that can be among the `count` best of n x n sums of two sorted lists.

    Pair (i, j) is beaten by all (i' <= i, j' <= j), of which there are (i + 1) (j + 1) with itself.
    """
    return tuple((i, j) for i in range(n) for j in range(n) if (i + 1) * (j + 1) <= count)


@cache
def _pairs(n: int, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    left, right = torch.tensor(_pair_ranks(n, count), device=device).unbind(1)
    return left.contiguous(), right.contiguous()


def check_search(search: SearchShape, searched: bool) -> None:
    """Raises `UsageError` for an impossible search; `searched`: whether the network has a predictor."""
    if not 1 <= search.beam <= MAX_BEAM:
        raise UsageError(f"beam must be from 1 to {MAX_BEAM}, not {search.beam}")
    if search.expansion not in EXPANSIONS:
        raise UsageError(f"expansion is {search.expansion!r}, not {' or '.join(EXPANSIONS)}")
    if search.beam > 1 and not searched:
        raise UsageError("this model writes every frame alone: it cannot be searched with a beam")
