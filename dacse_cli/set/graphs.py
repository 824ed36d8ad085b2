"""CUDA: a whole step of the search captured as a graph, so that a frame costs one launch.

Everything that a step reads and writes has a fixed address: last codes, parents, scores, the number of the
frame, caches. The host only replays graphs and waits for the device once, at the end. Attention spans a
multiple of `SPAN` frames, with one graph for each multiple. All rows are computed until the longest has
ended.

On a CPU the tests replace the capture by a plain call, which covers everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from dacse_cli.lm.gpu.capture import Capture, GraphCapture, Replay, graph_rows
from dacse_cli.set.expansion import Propose, expand, first_scores
from dacse_cli.set.scoring import NetworkScorer, ScoringWeights
from dacse_cli.set.search import REPORT_EVERY, Report, read_back

SPAN = 64
"""Frames by which the attention span grows from one graph to the next."""
MAX_ROWS = 256
"""Above this number, rows are not rounded up."""


@dataclass
class _State:
    """The tensors that the graphs of one shape read and write."""

    scorer: NetworkScorer
    propose: Propose | None
    last: Tensor
    parents: Tensor
    scores: Tensor
    written: Tensor
    links: Tensor
    replays: dict[int, Replay] = field(default_factory=dict)

    def holds(self, rows: int, beam: int, frames: int, propose: Propose | None) -> bool:
        """Whether a batch fits without computing more than twice what it needs."""
        T, B, N, _ = self.written.shape
        return propose is self.propose and beam == N and rows <= B <= 2 * rows and frames <= T

    def begin(self) -> None:
        """Before the first frame."""
        B, N = self.scores.shape
        self.last.copy_(self.scorer.first)
        self.parents.copy_(torch.arange(N, device=self.parents.device).expand(B, N))
        self.scores.copy_(first_scores(B, N, self.scores.device))

    def step(self, upto: int) -> None:
        """One frame of all rows, attending over `upto` frames."""
        self.scorer.upto = upto
        frame = self.scorer.frame.clone()  # the scorer increments it
        logits = self.scorer.logits(self.last, self.parents)
        if self.propose is None:
            self.last.copy_(logits.argmax(dim=-1))
        else:
            kept = expand(logits, self.scores, self.propose)
            self.last.copy_(kept.codes)
            self.parents.copy_(kept.parents)
            self.scores.copy_(kept.scores)
            self.links.index_copy_(0, frame, self.parents.unsqueeze(0))
        self.written.index_copy_(0, frame, self.last.unsqueeze(0))


class GraphSearch:
    """Greedy or beam search by replaying captured steps. Graphs live until a batch of another shape comes."""

    def __init__(
        self,
        weights: ScoringWeights,
        capture: Capture | None = None,
    ) -> None:
        self.weights, self.capture = weights, capture or GraphCapture()
        self._state: _State | None = None

    def release(self) -> None:
        """Drop all graphs and their tensors."""
        if self._state is not None:
            self._state.replays.clear()  # without graphs they are functions that refer to the state
        self._state = None

    def run(
        self,
        encoded: Tensor,
        frames: Sequence[int],
        beam: int,
        propose: Propose | None,
        report: Report | None = None,
    ) -> tuple[Tensor, Tensor, bool]:
        """Codes `[B, N, T, K]`, scores `[B, N]`, and whether all computed values are finite.

        `encoded` `[B, T, J]`; `frames` of each row, longest first, without those that only fill the shape.
        Without `propose` the search is greedy and scores mean nothing. Raises `RuntimeError` where graphs
        cannot be captured, before the first frame.
        """
        B, T = len(encoded), frames[0]
        state = self._prepare(B, beam, encoded.shape[1], propose)
        spans = [min(-(-(frame + 1) // SPAN) * SPAN, len(state.written)) for frame in range(T)]
        for upto in sorted(set(spans) - state.replays.keys()):
            state.scorer.frame.zero_()
            state.replays[upto] = self.capture(partial(state.step, upto))
        state.scorer.begin(encoded)
        state.begin()
        for frame, upto in enumerate(spans):
            state.replays[upto]()
            if report is not None and (frame + 1) % REPORT_EVERY == 0:
                if encoded.is_cuda:  # keeps the host from running ahead of the device and its reports
                    torch.cuda.current_stream(encoded.device).synchronize()
                report(frame + 1)
        written, links = state.written[:T, :B].cpu(), state.links[:T, :B].cpu()
        left = [sum(own > frame for own in frames) for frame in range(T)]
        parts = [(written[frame, :rows], links[frame, :rows]) for frame, rows in enumerate(left)]
        codes = read_back([part[0] for part in parts], [part[1] for part in parts], B)
        scores, healthy = state.scores[:B].cpu(), state.scorer.healthy()
        if not healthy:  # NaN in caches and in rows beyond a smaller batch would reach later batches
            self.release()
        return codes, scores, healthy

    def _prepare(self, rows: int, beam: int, frames: int, propose: Propose | None) -> _State:
        if self._state is None or not self._state.holds(rows, beam, frames, propose):
            self.release()  # before the next state is allocated
            B, T = graph_rows(rows, max(rows, MAX_ROWS)), -(-frames // SPAN) * SPAN
            scorer = NetworkScorer(self.weights, B, beam, T, spans_all=True)
            device, K = self.weights.device, self.weights.codes.books
            links = torch.zeros(T, B, beam, dtype=torch.int64, device=device)
            self._state = _State(
                scorer,
                propose,
                torch.zeros(B, beam, K, dtype=torch.int64, device=device),
                torch.zeros(B, beam, dtype=torch.int64, device=device),
                torch.zeros(B, beam, device=device),
                torch.zeros(T, B, beam, K, dtype=torch.int64, device=device),
                links.copy_(torch.arange(beam, device=device)),
            )
        return self._state
