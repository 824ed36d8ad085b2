"""What a fresh network starts from, besides chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DacModel

from dacse_cli.set.network import CodeEmbedding, FactoredHead, SetNetwork
from dacse_cli.training.lm.pairs.shards import CodePair


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
        fill(embedding, table)


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


def fill(embedding: CodeEmbedding, table: Tensor) -> None:
    """Rows of all codes `[K, V, width]`; a symbol for the beginning keeps what it has."""
    by_book = embedding.table.weight.view(embedding.codebooks, embedding.entries, -1)
    by_book[:, : table.shape[1]] = table


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
