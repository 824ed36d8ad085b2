"""Search frame by frame: which codes to write, given a scorer for the likelihood of every code.

Greedy search takes the best code of every codebook; beam search keeps the N best hypotheses. Input and output
have the same number of frames, so no end symbol is needed: a row ends with its last frame. Hypotheses are
kept as links to their parents and read back at the end; no prefix is copied.

Rows come longest first; those that have ended are dropped from the work, unless the shape is fixed (`fixed`):
then all rows are computed to the end of the longest. Axes: `B` rows, `N` hypotheses, `K` codebooks,
`T` frames, `V` codebook size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dacse_cli.interfaces import Codes, Draw
from dacse_cli.set.expansion import Kept, Propose, expand, first_scores

Report = Callable[[int], None]
"""Called with the number of frames done; may raise to stop."""
Noise = Callable[[int], Tensor]
"""(rows) -> noise to add to the logits of the next frame, `[B, K, V]`."""
REPORT_EVERY = 25


class Scorer(Protocol):
    """Logits of the codes of the next frame, given the codes written so far."""

    @property
    def first(self) -> Tensor:
        """Start symbols in place of codes before the first frame, int64 `[B, N, K]`."""

    def logits(self, last: Tensor, parents: Tensor | None) -> Tensor:
        """`[B, N, K, V]` of the next frame.

        `last` int64 `[B, N, K]` are the codes written for the previous frame; `parents` int64 `[B, N]` says
        which hypothesis each of these continues, None where each continues the one in its own place.
        """

    def keep(self, rows: int) -> None:
        """Keep only the first `rows` rows."""


def greedy(
    scorer: Scorer,
    frames: Sequence[int],
    noise: Noise | None = None,
    report: Report | None = None,
    *,
    fixed: bool = False,
) -> Tensor:
    """The best codes `[B, T, K]`, frame by frame; after its own end a row holds zeros.

    `frames` of each row, longest first. With `noise`, codes are sampled. `fixed`: no row is dropped, and the
    scorer may have more rows than `frames`.
    """
    last = scorer.first
    whole = last.new_zeros(len(frames), frames[0], last.shape[2])
    for frame, rows in enumerate(rows_left(frames)):
        if rows < len(last) and not fixed:
            scorer.keep(rows)
            last = last[:rows]
        logits = scorer.logits(last, None)
        if noise is not None:
            logits = logits + noise(len(last)).unsqueeze(1)
        last = logits.argmax(dim=-1)
        whole[:rows, frame] = last[:rows, 0]
        if report is not None and (frame + 1) % REPORT_EVERY == 0:
            report(frame + 1)
    return whole


def beam_search(
    scorer: Scorer,
    frames: Sequence[int],
    propose: Propose,
    report: Report | None = None,
    *,
    fixed: bool = False,
) -> tuple[Tensor, Tensor]:
    """Codes `[B, N, T, K]` and scores `[B, N]` of the N best hypotheses of each row at its end, best first.

    `frames` of each row, longest first; after its own end a row holds zeros. `fixed`: as in `greedy`.
    """
    R, N, _ = scorer.first.shape
    device, B = scorer.first.device, len(frames)
    kept = Kept(scorer.first, _themselves(R, N, device), first_scores(R, N, device))
    left = B
    written: list[Tensor] = []
    links: list[Tensor] = []
    ended: list[Tensor] = []
    for frame, rows in enumerate(rows_left(frames)):
        if rows < left:
            ended.append(kept.scores[rows:left])
            left = rows
            if not fixed:
                scorer.keep(rows)
                kept = Kept(kept.codes[:rows], kept.parents[:rows], kept.scores[:rows])
        kept = expand(scorer.logits(kept.codes, kept.parents), kept.scores, propose)
        written.append(kept.codes[:rows])
        links.append(kept.parents[:rows])
        if report is not None and (frame + 1) % REPORT_EVERY == 0:
            report(frame + 1)
    return read_back(written, links, B), torch.cat([kept.scores[:left], *reversed(ended)])


def read_back(written: Sequence[Tensor], links: Sequence[Tensor], rows: int) -> Tensor:
    """Whole hypotheses `[B, N, T, K]` from the codes `[b, N, K]` and parents `[b, N]` of every frame.

    b shrinks from frame to frame; a row's hypotheses are those that were kept at its last frame.
    """
    N, K = written[0].shape[1:]
    whole = written[0].new_zeros(rows, N, len(written), K)
    places = links[0].new_zeros(0, N)
    for frame in range(len(written) - 1, -1, -1):
        b = len(written[frame])
        places = torch.cat([places, _themselves(b - len(places), N, places.device)])
        whole[:b, :, frame] = written[frame].gather(1, places.unsqueeze(2).expand(b, N, K))
        places = links[frame].gather(1, places)
    return whole


class RowNoise:
    """Gumbel noise for rows drawn as `draws` say: the best of logits plus noise is a draw from their softmax.

    Each row has its own generator, so its codes do not depend on the rest of the batch; a seed repeats them.
    """

    def __init__(self, draws: Sequence[Draw], codes: Codes, device: torch.device) -> None:
        self._draws = [(draw.temperature, np.random.default_rng(draw.seed)) for draw in draws]
        self._codes, self._device = codes, device

    def __call__(self, rows: int) -> Tensor:
        """float32 `[rows, K, V]` for the next frame; rows beyond the draws get none."""
        noise = np.zeros((rows, self._codes.books, self._codes.size), np.float32)
        for row, (temperature, rng) in enumerate(self._draws[:rows]):
            noise[row] = temperature * rng.gumbel(size=noise.shape[1:])
        return torch.from_numpy(noise).to(self._device)


def rows_left(frames: Sequence[int]) -> list[int]:
    """Number of unfinished rows at each frame. Raises `ValueError` unless `frames` come longest first."""
    if list(frames) != sorted(frames, reverse=True) or not frames or frames[-1] < 1:
        raise ValueError(f"rows must come longest first, each of at least one frame: {list(frames)}")
    return [sum(own > frame for own in frames) for frame in range(frames[0])]


def _themselves(rows: int, beam: int, device: torch.device) -> Tensor:
    """Identity parents: every hypothesis continues itself, `[rows, N]`."""
    return torch.arange(beam, device=device).expand(rows, beam)
