"""What is minimised: the cross-entropy of clean ids, each given the noisy side and the clean past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from dacse_cli.tokens.layout import EOS, SPECIALS, TokenLayout
from dacse_cli.training.llama.batch import answer_places, by_row, end_places, input_ids, time_major


@dataclass(frozen=True)
class Scores:
    """Sums over a batch. `losses` [K], `ends` (eos, 0 where it is not asked for), `hits` [K] codes."""

    losses: Tensor
    ends: Tensor
    hits: Tensor


class Objective(nn.Module):
    """A network and what it is asked; what several processes wrap, for all goes through `forward`."""

    def __init__(self, model: LlamaForCausalLM, layout: TokenLayout, whole_vocabulary: bool) -> None:
        super().__init__()
        self.model, self.layout, self.whole_vocabulary = model, layout, whole_vocabulary

    def forward(self, noisy: Tensor, read: Tensor, clean: Tensor, frames: Sequence[int]) -> Scores:
        """Scores of `clean` [B, K, T] after `noisy`, the past being `read`."""
        K, N = self.layout.n_codebooks, self.layout.codebook_size
        hidden = self._hidden(noisy, read, frames)  # [B*L, H]
        here = hidden[answer_places(frames, K, hidden.device)]  # [M*K, H]
        wanted = time_major(clean, frames)  # [M, K]
        own = self._own_logits(here)
        hits = (own.detach().argmax(-1) == wanted).sum(0)
        if not self.whole_vocabulary:
            losses = cross_entropy(own.flatten(0, 1).float(), wanted.flatten(), reduction="none")
            return Scores(losses.view(-1, K).sum(0), losses.new_zeros(()), hits)
        ids = wanted + SPECIALS + N * torch.arange(K, device=wanted.device)
        losses = cross_entropy(self.model.lm_head(here).float(), ids.flatten(), reduction="none")
        ends = self.model.lm_head(hidden[end_places(frames, K, hidden.device)]).float()
        eos = cross_entropy(ends, torch.full((len(ends),), EOS, device=ends.device), reduction="sum")
        return Scores(losses.view(-1, K).sum(0), eos, hits)

    @torch.no_grad()
    def likeliest(self, noisy: Tensor, read: Tensor, frames: Sequence[int]) -> Tensor:
        """The codes [B, K, T] that greedy generation would take after each past of `read`."""
        hidden = self._hidden(noisy, read, frames)
        places = answer_places(frames, self.layout.n_codebooks, hidden.device)
        return by_row(self._own_logits(hidden[places]).argmax(-1), frames)

    def _hidden(self, noisy: Tensor, read: Tensor, frames: Sequence[int]) -> Tensor:
        ids = input_ids(noisy, read, frames, self.layout.codebook_size)
        hidden: Tensor = self.model.model(input_ids=ids, use_cache=False).last_hidden_state
        return hidden.flatten(0, 1)

    def _own_logits(self, here: Tensor) -> Tensor:
        """Logits [M, K, N] of each place's own codebook; `here` is [M*K, H]."""
        K, N = self.layout.n_codebooks, self.layout.codebook_size
        head = self.model.lm_head.weight[SPECIALS:].view(K, N, -1)
        return torch.einsum("mkh,knh->mkn", here.view(-1, K, here.shape[-1]), head)
