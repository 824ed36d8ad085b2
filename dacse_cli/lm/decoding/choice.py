"""One allowed range of ids: its rows of the output matrix and of the embedding table.

Only these rows of the head are multiplied, so ids outside the range need no mask.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dacse_cli.lm.linear import make_linear
from dacse_cli.lm.model import Llama


class Choice:
    """The range `lo <= id < hi`."""

    def __init__(self, network: Llama, lo: int, hi: int) -> None:
        self.lo, self.size = lo, hi - lo
        self.head = make_linear(network.weights.head[lo:hi])
        self.embedding = network.weights.embedding[lo:hi]

    def pick(self, normed: Tensor, out: Tensor, noise: Tensor | None = None) -> None:
        """The best id of every row, counted from `lo`, into `out` int64 `[B]`.

        `normed` float32 `[B, hidden]` is the network's output; `noise` `[B, hi - lo]` is added to the logits.
        """
        logits = self.head(normed)
        torch.argmax(logits if noise is None else logits + noise, dim=-1, out=out)

    def embed(self, picked: Tensor) -> Tensor:
        """Embeddings of the ids that `pick` wrote, float32 `[B, hidden]`."""
        return F.embedding(picked, self.embedding).float()
