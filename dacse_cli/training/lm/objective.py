"""The loss: cross-entropy of clean ids, each given the noisy side and the past."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AttentionInterface, LlamaForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from dacse_cli.tokens.layout import EOS, SPECIALS, TokenLayout
from dacse_cli.training.lm.batch import Batch, by_row, input_ids, time_major

CAUSAL = "dacse-causal"
"""torch's attention under a name for which transformers makes no mask: to see whether one is needed it
would read positions from the device, once per forward pass. Without one, a position sees those up to it."""
AttentionInterface.register(CAUSAL, sdpa_attention_forward)


@dataclass(frozen=True)
class Scores:
    """Sums over a batch: `losses` [K], `ends` (loss of eos, 0 if not trained), correct codes `hits` [K]."""

    losses: Tensor
    ends: Tensor
    hits: Tensor


class Objective(nn.Module):
    """A network and its loss: the module that is wrapped for several processes."""

    def __init__(self, model: LlamaForCausalLM, layout: TokenLayout, whole_vocabulary: bool) -> None:
        super().__init__()
        self.model, self.layout, self.whole_vocabulary = model, layout, whole_vocabulary
        model.set_attn_implementation(CAUSAL)

    def forward(self, batch: Batch, read: Tensor, wanted: Tensor) -> Scores:
        """Scores of `wanted` [B, K, T] after the noisy side of `batch` and the past `read` [B, K, T]."""
        K, N = self.layout.n_codebooks, self.layout.codebook_size
        hidden = self._hidden(batch, read)  # [B*L, H]
        here = hidden[batch.answers_at]  # [M*K, H]
        targets = time_major(wanted, batch.frames)  # [M, K]
        if not self.whole_vocabulary:
            own = self._own_logits(here)
            hits = (own.detach().argmax(-1) == targets).sum(0)
            losses = cross_entropy(own.flatten(0, 1).float(), targets.flatten(), reduction="none")
            return Scores(losses.view(-1, K).sum(0), losses.new_zeros(()), hits)
        logits = self.model.lm_head(here)
        hits = self._hits(logits.detach().view(-1, K, logits.shape[-1]), targets)
        ids = targets + SPECIALS + N * torch.arange(K, device=targets.device)
        losses = cross_entropy(logits.float(), ids.flatten(), reduction="none")
        ends = self.model.lm_head(hidden[batch.ends_at]).float()
        eos = cross_entropy(ends, torch.full((len(ends),), EOS, device=ends.device), reduction="sum")
        return Scores(losses.view(-1, K).sum(0), eos, hits)

    @torch.no_grad()
    def likeliest(self, batch: Batch, read: Tensor) -> Tensor:
        """The codes [B, K, T] that greedy generation would take after each past of `read` [B, K, T]."""
        own = self._own_logits(self._hidden(batch, read)[batch.answers_at])
        return by_row(own.argmax(-1), batch.frames)

    def _hidden(self, batch: Batch, read: Tensor) -> Tensor:
        ids = input_ids(batch.noisy, read, batch.frames, self.layout.codebook_size)
        hidden: Tensor = self.model.model(input_ids=ids, use_cache=False).last_hidden_state
        return hidden.flatten(0, 1)

    def _own_logits(self, here: Tensor) -> Tensor:
        """Logits [M, K, N] of each place's own codebook; `here` is [M*K, H]."""
        K, N = self.layout.n_codebooks, self.layout.codebook_size
        head = self.model.lm_head.weight[SPECIALS:].view(K, N, -1)
        return torch.einsum("mkh,knh->mkn", here.view(-1, K, here.shape[-1]), head)

    def _hits(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Codes [K] that are right among those of their own codebook; `logits` are [M, K, vocabulary]."""
        N = self.layout.codebook_size
        first = [SPECIALS + N * k for k in range(logits.shape[1])]
        likeliest = [logits[:, k, low : low + N].argmax(-1) for k, low in enumerate(first)]
        return (torch.stack(likeliest, 1) == targets).sum(0)
