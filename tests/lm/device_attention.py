"""Parts of CUDA decoding as plain functions, so that everything around them runs on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.gpu.capture import Capture
from dacse_cli.lm.gpu.graphs import GraphDecoder
from dacse_cli.lm.gpu.varlen import VarlenAttention


def varlen_stand_in(
    out: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    query_bounds: torch.Tensor,
    key_bounds: torch.Tensor,
    longest_query: int,
    longest_key: int,
    *,
    enable_gqa: bool,
    seqused_k: torch.Tensor,
) -> torch.Tensor:
    """`varlen_attn_out` with one query per row, as its documentation defines it."""
    assert query_bounds.tolist() == list(range(len(q) + 1))
    assert q.shape[1] == k.shape[1] or enable_gqa
    rows = []
    for row, used in enumerate(seqused_k.tolist()):
        start, stop = key_bounds[row : row + 2].tolist()
        assert 1 <= used <= stop - start <= longest_key
        keys, values = (t[start : start + used].transpose(0, 1) for t in (k, v))
        rows.append(
            F.scaled_dot_product_attention(q[row][:, None], keys, values, enable_gqa=enable_gqa)[:, 0]
        )
    return out.copy_(torch.stack(rows))


def run_first(body: Callable[[], None]) -> Callable[[], None]:
    """What capturing does to memory: the body has run before its first replay."""
    body()
    return body


def use_graphs(model: LanguageModel, capture: Capture = run_first) -> LanguageModel:
    """Let a model on the CPU decode as on CUDA."""
    attention = VarlenAttention(model.network, varlen_stand_in)
    model.use(GraphDecoder(model.network, model.arena, attention, capture))
    return model
