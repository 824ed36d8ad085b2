"""What a fresh network starts from, besides chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DacModel

from dacse_cli.set.conformer import ConformerLayer
from dacse_cli.set.network import CodeEmbedding, FactoredHead, SetNetwork, shifted
from dacse_cli.training.lm.shards import CodePair
from dacse_cli.training.set.batch import Batch, at_real_frames

SMALL = 0.3
"""Deviation of embeddings where positions are added: the norm behind them then changes little by frame."""
OPEN = 3.0
"""Deviations that are added to the encoder's outputs, so that the joiner's LeakyReLU begins nearly linear."""
SHARPNESS = tuple(2.0 ** (n / 2) for n in range(-8, 13))
"""What is tried for the head's scale."""


@torch.no_grad()
def start_embeddings(network: SetNetwork, codec: DacModel) -> None:
    """Set the embeddings from what the codes sound like.

    The vector of a code is what it adds to the codec's latent, on as many main directions of all of them as
    the embedding is wide; so the sum over codebooks is the latent itself, as far as it goes. The scale is
    that of random embeddings: the vectors of a frame add up to about unit deviation.
    """
    sides = [network.encoder, network.predictor]
    for embedding in (side.embedding for side in sides if side is not None):
        if embedding is None:
            continue
        rows = _latent_vectors(codec, embedding.codebooks)  # [K, V, H]
        K, V, H = rows.shape
        _, _, directions = torch.linalg.svd(rows.reshape(K * V, H), full_matrices=False)
        table = rows @ directions[: embedding.table.embedding_dim].t()
        table = nn.functional.pad(table, (0, embedding.table.embedding_dim - table.shape[-1]))
        table = table / table.square().mean(dim=1).sum(dim=0).mean().sqrt().clamp(min=1e-8)
        _fill(embedding, table)


@torch.no_grad()
def start_head(network: SetNetwork, codec: DacModel) -> None:
    """Give a factored head the vectors of the codes, on their main directions in each codebook."""
    head = network.head
    if not isinstance(head, FactoredHead):
        return
    rows = _latent_vectors(codec, len(head.codes))  # [K, V, H]
    _, _, directions = torch.linalg.svd(rows, full_matrices=False)  # [K, min(V, H), H]
    width = head.codes.shape[1]
    vectors = rows @ directions[:, :width].transpose(1, 2)
    vectors = nn.functional.pad(vectors, (0, width - vectors.shape[-1]))
    lengths = vectors.square().sum(dim=2, keepdim=True).mean(dim=1, keepdim=True).sqrt()
    head.codes.copy_((vectors / lengths.clamp(min=1e-8)).transpose(1, 2))


def _latent_vectors(codec: DacModel, books: int) -> Tensor:
    """What each code of the first `books` codebooks adds to the latent, centred `[K, V, H]`."""
    vectors = []
    for quantizer in codec.quantizer.quantizers[:books]:
        rows = quantizer.codebook.weight @ quantizer.out_proj.weight[:, :, 0].t()
        vectors.append(rows - rows.mean(0))
    return torch.stack(vectors)


def _fill(embedding: CodeEmbedding, table: Tensor) -> None:
    """Rows of all codes `[K, V, width]`; a symbol for the beginning keeps what it has."""
    by_book = embedding.table.weight.view(embedding.codebooks, embedding.entries, -1)
    by_book[:, : table.shape[1]] = table


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
    _quieten(network, batches)
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
        _fill(embedding, table)


def _quieten(network: SetNetwork, batches: Sequence[Batch]) -> None:
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


@torch.no_grad()
def fit_scale(network: SetNetwork, pairs: Sequence[CodePair]) -> None:
    """Let a network over latents read inputs of unit deviation and begin near the mean of its targets."""
    noisy, clean = (
        torch.from_numpy(_frames(pairs, side)).float() for side in ("noisy", "clean")
    )  # [frames, width]
    layer, head = network.encoder.conformer.input, network.head
    assert isinstance(head, nn.Linear)
    centre, deviation = noisy.mean(0), noisy.std(0).clamp(min=1e-6)
    layer.weight.div_(deviation)
    layer.bias.sub_(layer.weight @ centre)
    head.weight.mul_(clean.std(0)[:, None])
    head.bias.copy_(clean.mean(0))


def _frames(pairs: Sequence[CodePair], side: str) -> Any:
    return np.concatenate([getattr(pair, side).T for pair in pairs])
