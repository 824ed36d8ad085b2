"""The training loss of a network on a batch: the module that is wrapped for several processes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dacse_cli.set.network import SetNetwork
from dacse_cli.training.set.batch import Batch, at_real_frames


@dataclass(frozen=True)
class Scores:
    """Sums over the real frames of a batch, by codebook; for latents there is one entry."""

    losses: Tensor
    """Losses `[K]`; for codes in nats."""
    hits: Tensor
    """Counts `[K]` of codes predicted correctly (as the likeliest); zeros for latents."""


class Objective(nn.Module):
    """`network` and its loss."""

    def __init__(self, network: SetNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch, past: Tensor | None, smoothing: float = 0.0, loss: str = "mse") -> Scores:
        """`past` `[B, T, K]` is the predictor's input, delayed by a frame; None without a predictor."""
        network = self.network
        predicted = None
        if network.predictor is not None:
            assert past is not None
            predicted = network.predictor(past)
        joined = network.joined(network.encoder(batch.noisy, batch.lengths), predicted)
        # only real frames reach the head, whose outputs are by far the largest
        outputs = network.split(network.head(at_real_frames(joined, batch)))
        wanted = at_real_frames(batch.clean, batch)
        if network.shape.latents is not None:
            return _of_latents(outputs.float(), wanted, loss)
        return _of_codes(outputs.float(), wanted, smoothing)


def _of_codes(logits: Tensor, wanted: Tensor, smoothing: float) -> Scores:
    """Logits `[n, K, V]`, codes `[n, K]`."""
    n, K, V = logits.shape
    losses = F.cross_entropy(
        logits.view(n * K, V), wanted.flatten(), reduction="none", label_smoothing=smoothing
    )
    hits = logits.detach().argmax(dim=-1) == wanted
    return Scores(losses.view(n, K).sum(dim=0), hits.sum(dim=0))


def _of_latents(estimate: Tensor, wanted: Tensor, loss: str) -> Scores:
    """Both `[n, width]`; means over the width."""
    difference = estimate - wanted
    summed = difference.square().mean(dim=1).sum()
    if loss == "l1+mse":
        summed = summed + difference.abs().mean(dim=1).sum()
    return Scores(summed[None], torch.zeros(1, device=estimate.device))
