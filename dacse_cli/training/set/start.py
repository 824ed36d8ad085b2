"""What a fresh network starts from, besides chance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dacse_cli.codec.units.codec import unit_vectors
from dacse_cli.codec.units.shape import is_units
from dacse_cli.set.network import CodeEmbedding, FactoredHead, SetNetwork
from dacse_cli.training.codec.network import stored_codec
from dacse_cli.training.lm.pairs.shards import CodePair


@torch.no_grad()
def code_vectors(codec: Path, books: int) -> Tensor:
    """What each code of the codec's first `books` codebooks adds to the latent, centred `[K, V, H]`.

    For units of a speech encoder: their centroids. Raises `CodecError`.
    """
    if is_units(codec):
        rows = unit_vectors(codec)[None]
    else:
        quantizers = stored_codec(codec).quantizer.quantizers[:books]
        rows = torch.stack([q.codebook.weight @ q.out_proj.weight[:, :, 0].t() for q in quantizers])
    return rows - rows.mean(1, keepdim=True)


@torch.no_grad()
def start_embeddings(network: SetNetwork, vectors: Tensor) -> None:
    """Set the embeddings from what the codes sound like: their `vectors` [K, V, H].

    Each is projected on as many main directions of all of them as the embedding is wide; so the sum over
    codebooks is the latent itself, as far as it goes. The scale is that of random embeddings: the vectors of
    a frame add up to about unit deviation.
    """
    sides = [network.encoder, network.predictor]
    for embedding in (side.embedding for side in sides if side is not None):
        if embedding is None:
            continue
        K, V, H = vectors.shape
        _, _, directions = torch.linalg.svd(vectors.reshape(K * V, H), full_matrices=False)
        table = vectors @ directions[: embedding.table.embedding_dim].t()
        table = nn.functional.pad(table, (0, embedding.table.embedding_dim - table.shape[-1]))
        table = table / table.square().mean(dim=1).sum(dim=0).mean().sqrt().clamp(min=1e-8)
        fill(embedding, table)


@torch.no_grad()
def start_head(network: SetNetwork, vectors: Tensor) -> None:
    """Give a factored head the `vectors` [K, V, H] of the codes, on their main directions per codebook."""
    head = network.head
    if not isinstance(head, FactoredHead):
        return
    _, _, directions = torch.linalg.svd(vectors, full_matrices=False)  # [K, min(V, H), H]
    width = head.codes.shape[1]
    low = vectors @ directions[:, :width].transpose(1, 2)
    low = nn.functional.pad(low, (0, width - low.shape[-1]))
    lengths = low.square().sum(dim=2, keepdim=True).mean(dim=1, keepdim=True).sqrt()
    head.codes.copy_((low / lengths.clamp(min=1e-8)).transpose(1, 2))


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
