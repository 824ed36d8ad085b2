"""A SET network that begins by answering with the noisy codes: what it learns is what to change in them.

`training/lm/copy_start.py` does the same for a language model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dacse_cli.set.conformer import ConformerLayer
from dacse_cli.set.network import FactoredHead, SetNetwork, shifted
from dacse_cli.training.set.batch import Batch, at_real_frames
from dacse_cli.training.set.start import fill

SMALL = 0.3
"""Deviation of embeddings where positions are added: the norm behind them then changes little by frame."""
OPEN = 3.0
"""Deviations that are added to the encoder's outputs, so that the joiner's LeakyReLU begins nearly linear."""
SHARPNESS = tuple(2.0 ** (n / 2) for n in range(-8, 13))
"""What is tried for the head's scale."""


@torch.no_grad()
def start_copy(network: SetNetwork, batches: Sequence[Batch]) -> None:
    """Let a network with a factored head begin by answering with the noisy codes, and codes that sound alike.

    For networks whose head has the codec's vectors (`start_head`). The embedding gets the same vectors, each
    codebook in dimensions of its own: in their sum, which is the codec's latent, codes of later codebooks
    cannot be told apart linearly. The branches of all layers, and the predictor, begin at zero, so that the
    joiner's output is nearly linear in the noisy frame's embedding; ridge regression finds the vectors of its
    codes again. The logit of a code falls with the square of its distance from the noisy one, as fast as fits
    the clean codes of `batches` best.
    """
    head = network.head
    assert isinstance(head, FactoredHead)
    network.eval()
    _place_apart(network, head)
    _silence_branches(network, batches)
    joined = torch.cat([at_real_frames(_joined(network, batch), batch) for batch in batches])
    noisy, clean = (
        torch.cat([at_real_frames(getattr(batch, side), batch) for batch in batches])
        for side in ("noisy", "clean")
    )  # [N, K]
    inputs = torch.cat([joined, torch.ones(len(joined), 1)], dim=1).double()
    square = inputs.t() @ inputs
    square.diagonal().add_(1e-6 * square.diagonal().mean())
    K, width, V = head.codes.shape
    for k in range(K):
        vectors = head.codes[k].t().double()  # [V, width]
        solved = torch.linalg.solve(square, inputs.t() @ vectors[noisy[:, k]])  # [J + 1, width]
        found = inputs @ solved
        shares = (torch.bincount(clean[:, k], minlength=V) + 1.0).double()
        prior = shares.log() - shares.sum().log()
        near = found @ vectors.t() - 0.5 * vectors.square().sum(1)  # [N, V]
        losses = [nn.functional.cross_entropy(s * near + prior, clean[:, k]) for s in SHARPNESS]
        sharp = SHARPNESS[int(torch.stack(losses).argmin())]
        own = slice(k * width, (k + 1) * width)
        head.project.weight[own] = (sharp**0.5 * solved[:-1]).t().float()
        head.project.bias[own] = (sharp**0.5 * solved[-1]).float()
        head.codes[k] = (sharp**0.5 * vectors).t().float()
        head.bias[k] = (prior - 0.5 * sharp * vectors.square().sum(1)).float()
    network.train()


def _place_apart(network: SetNetwork, head: FactoredHead) -> None:
    for side in (network.encoder, network.predictor):
        embedding = None if side is None else side.embedding
        if embedding is None:
            continue
        K, V = embedding.codebooks, head.codes.shape[2]
        table = torch.zeros(K, V, embedding.table.embedding_dim)
        room = min(embedding.table.embedding_dim // K, head.codes.shape[1])
        for k in range(K):
            table[k, :, k * room : (k + 1) * room] = head.codes[k, :room].t()
        fill(embedding, table)


def _silence_branches(network: SetNetwork, batches: Sequence[Batch]) -> None:
    for layer in network.modules():
        if isinstance(layer, ConformerLayer):
            for linear in (layer.first.down, layer.attention.out, layer.convolution.out, layer.second.down):
                nn.init.zeros_(linear.weight)
    if network.predictor is not None:
        nn.init.zeros_(network.predictor.output.weight)
    encoder = network.encoder
    assert encoder.embedding is not None
    placed = encoder.conformer.input(encoder.embedding(batches[0].noisy))
    encoder.conformer.input.weight.mul_(SMALL / placed.std())
    if encoder.output is not None:
        outputs = torch.cat([at_real_frames(encoder(b.noisy, b.lengths), b) for b in batches])
        encoder.output.bias.add_(OPEN * outputs.std(0) - outputs.mean(0))


def _joined(network: SetNetwork, batch: Batch) -> Tensor:
    """What the head reads, with the right past `[B, T, J]`."""
    predicted = None
    if network.predictor is not None:
        predicted = network.predictor(shifted(batch.clean, network.shape.codes.size))
    return network.joined(network.encoder(batch.noisy, batch.lengths), predicted)
