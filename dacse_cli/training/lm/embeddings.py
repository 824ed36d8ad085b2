"""Token embeddings initialised from the codec's codebook vectors.

The embedding of code n of codebook k is its vector in the codec's latent space, `out_proj(codebook[n])`,
centred and scaled per codebook, projected on the main directions that all codebooks share. With a tied head
the first logits already prefer codes that sound alike. Each codebook's rows get a different offset, so that
codebooks can be distinguished.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DacModel, LlamaForCausalLM

from dacse_cli.tokens.layout import SPECIALS

DEVIATION, OFFSET = 0.05, 0.03


@torch.no_grad()
def code_vectors(codec: DacModel) -> Tensor:
    """Latent vectors of all codes [K, N, H], centred, mean square 1 per codebook."""
    vectors = []
    for quantizer in codec.quantizer.quantizers:
        rows = quantizer.codebook.weight @ quantizer.out_proj.weight[:, :, 0].t()
        rows = rows - rows.mean(0)
        vectors.append(rows / rows.square().mean().sqrt().clamp(min=1e-8))
    return torch.stack(vectors)


@torch.no_grad()
def start_embeddings(model: LlamaForCausalLM, codec: DacModel, generator: torch.Generator) -> None:
    """Set the embeddings of `model` (and so its tied head) from the codebooks of `codec`."""
    vectors = code_vectors(codec)
    K, N, H = vectors.shape
    table = model.model.embed_tokens.weight  # [5 + K*N, width]
    width = table.shape[1]
    if table.shape[0] != SPECIALS + K * N:
        raise ValueError(
            f"the model has {table.shape[0]} tokens, {K} codebooks of {N} need {SPECIALS + K * N}"
        )
    flat = vectors.reshape(K * N, H)
    _, _, directions = torch.linalg.svd(flat, full_matrices=False)
    rows = flat @ directions[:width].t()
    rows = torch.nn.functional.pad(rows, (0, width - rows.shape[1]))
    rows = (rows / rows.square().mean().sqrt() * DEVIATION).view(K, N, width)
    rows = rows + OFFSET * torch.randn(K, 1, width, generator=generator)
    table[:SPECIALS] = DEVIATION * torch.randn(SPECIALS, width, generator=generator)
    table[SPECIALS:] = rows.reshape(K * N, width)
