"""The network for the search: encoded noisy frames and the codes so far -> logits of the next frame.

Does not depend on the kind of search.

Axes: `B` rows, `N` hypotheses, `T` frames, `K` codebooks, `V` codebook size, `J` joint width.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dacse_cli.set.network import FactoredHead, SetNetwork
from dacse_cli.set.recurrent import LstmWeights
from dacse_cli.set.stepping import ConformerWeights, packed


class ScoringWeights:
    """Predictor and head in the form single steps need, products in `dtype`; shares the embedding."""

    def __init__(self, network: SetNetwork, dtype: torch.dtype) -> None:
        predictor = network.predictor
        if predictor is None:
            raise ValueError("a network without a predictor is not searched")
        self.codes, self.dtype = network.shape.codes, dtype
        self.joint_width = network.shape.joint_width or 0
        self.embedding, self.output = predictor.embedding, packed(predictor.output, dtype)
        self.past: ConformerWeights | LstmWeights
        if predictor.conformer is not None:
            self.past = ConformerWeights(predictor.conformer, dtype)
        elif predictor.lstm is not None:
            self.past = LstmWeights(predictor.lstm, dtype)
        self.head = _head(network.head, dtype)
        self.device = network.head.bias.device


class NetworkScorer:
    """`Scorer` of one batch. `healthy()` says whether all computed values are finite."""

    def __init__(
        self, weights: ScoringWeights, rows: int, beam: int, frames: int, *, spans_all: bool = False
    ) -> None:
        """`spans_all`: every step attends over `upto` frames, written or not, as a captured step must."""
        K, device = weights.codes.books, weights.device
        self.weights, self.spans_all = weights, spans_all
        self.encoded = torch.zeros(rows, frames, weights.joint_width, device=device)
        self.frame = torch.zeros(1, dtype=torch.int64, device=device)
        self.upto = 0
        self.steps = weights.past.begin(rows, beam, frames, masked=spans_all)
        self.first = torch.full((rows, beam, K), weights.codes.size, device=device)
        self._health = torch.zeros((), device=device)

    def begin(self, encoded: Tensor) -> None:
        """Restart with vectors `[b, t, J]` of noisy frames; b and t must fit the allocated size."""
        b, t, _ = encoded.shape
        self.encoded[:b, :t] = encoded
        self.steps.reset()
        self.frame.zero_()
        self.upto = 0
        self._health.zero_()

    def keep(self, rows: int) -> None:
        """Keep only the first `rows` rows."""
        self.encoded = self.encoded[:rows]
        self.steps.keep(rows)

    def logits(self, last: Tensor, parents: Tensor | None) -> Tensor:
        """Logits `[B, N, K, V]` float32 of the next frame."""
        weights = self.weights
        if not self.spans_all:
            self.upto += 1
        x = weights.embedding(last.flatten(0, 1)).float()
        x = self.steps.step(x, parents, self.frame, self.upto)
        predicted = weights.output(x.to(weights.dtype)).float().view(*last.shape[:2], -1)
        joined = F.leaky_relu(predicted.add_(self.encoded.index_select(1, self.frame)))
        self._health.add_(joined.sum() * 0.0)
        self.frame.add_(1)
        logits = weights.head(joined.flatten(0, 1).to(weights.dtype)).float()
        return logits.view(*last.shape, weights.codes.size)

    def healthy(self) -> bool:
        """False where NaN or infinite values were computed."""
        return bool(self._health == 0.0)


def _head(head: nn.Linear | FactoredHead, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """From vectors `[R, J]` to logits `[R, K * V]`."""
    if isinstance(head, nn.Linear):
        return packed(head, dtype)
    own = copy.deepcopy(head).requires_grad_(False).to(dtype)
    project = packed(own.project, dtype)
    return lambda x: own.logits(project(x))
