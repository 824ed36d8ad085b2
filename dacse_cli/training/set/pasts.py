"""The clean codes that a predictor in training is shown.

With the right ones (teacher forcing) it never sees its own mistakes, which is all it sees in use. Against
that: replace some, or let the network write the whole past itself, by the search of its use (the paper's
refinement).
"""

from __future__ import annotations

import torch
from torch import Tensor

from dacse_cli.set.expansion import EXPANSIONS
from dacse_cli.set.network import SetNetwork, shifted
from dacse_cli.set.scoring import NetworkScorer, ScoringWeights
from dacse_cli.set.search import beam_search, greedy
from dacse_cli.training.lm.pasts import corrupt
from dacse_cli.training.set.batch import Batch
from dacse_cli.training.set.recipe import Stage


def shown_past(network: SetNetwork, batch: Batch, stage: Stage, generator: torch.Generator) -> Tensor | None:
    """Codes `[B, T, K]` for the predictor, a frame late; None for a network without one."""
    if network.predictor is None:
        return None
    size = network.shape.codes.size
    if stage.past != "clean":
        return shifted(written(network, batch, stage.past, stage.beam, stage.expansion), size)

    def likeliest(read: Tensor) -> Tensor:
        with torch.no_grad():
            own: Tensor = network(batch.noisy, shifted(read, size), batch.lengths).argmax(dim=-1)
        return own

    read = corrupt(batch.clean, batch.noisy, size, stage.replaced, generator, likeliest)
    return shifted(read, size)


@torch.no_grad()
def written(network: SetNetwork, batch: Batch, how: str, beam: int, expansion: str) -> Tensor:
    """What the network itself writes: codes `[B, T, K]`, zeros after the end of a row.

    Searched without dropout, in float32; the network stays in the mode it was in.
    """
    training = network.training
    network.eval()
    try:
        with torch.autocast(batch.noisy.device.type, enabled=False):
            return _searched(network, batch, how, beam, expansion)
    finally:
        network.train(training)


def _searched(network: SetNetwork, batch: Batch, how: str, beam: int, expansion: str) -> Tensor:
    encoded = network.encoder(batch.noisy, batch.lengths)
    if network.predictor is None:
        alone: Tensor = network.split(network.head(network.joined(encoded, None))).argmax(dim=-1)
        return alone
    B, T = encoded.shape[:2]
    order = sorted(range(B), key=lambda row: -batch.frames[row])
    frames = [batch.frames[row] for row in order]
    rows = torch.tensor(order, device=encoded.device)
    scorer = NetworkScorer(ScoringWeights(network, torch.float32), B, 1 if how == "greedy" else beam, T)
    scorer.begin(encoded[rows])
    if how == "greedy":
        found = greedy(scorer, frames)
    else:
        found = beam_search(scorer, frames, EXPANSIONS[expansion])[0][:, 0]
    answer = torch.zeros_like(batch.clean)
    answer[rows] = found
    return answer
