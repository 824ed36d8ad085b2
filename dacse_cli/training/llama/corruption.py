"""What a model in training is shown as its own past: clean codes, some replaced. Targets are not touched.

Greedy generation reads what it has written. A past that is always right teaches a model to trust it; one that
holds noisy codes, any codes, or the model's own likeliest ones (parallel scheduled sampling, Duckworth et al.
2019) teaches it to look at the noisy side again.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dacse_cli.training.llama.recipe import Corruption

Answer = Callable[[Tensor], Tensor]
"""A past [B, K, T] -> the likeliest codes [B, K, T] after it."""


def corrupt(
    clean: Tensor,
    noisy: Tensor,
    size: int,
    options: Corruption,
    generator: torch.Generator,
    answer: Answer,
) -> Tensor:
    """Codes [B, K, T] to show in place of `clean`; each code is replaced in one way at most.

    `generator` is on the CPU whatever the codes are on, so that what is drawn does not depend on it.
    """
    if options.total == 0:
        return clean
    B = len(clean)
    strength = torch.rand(B, 1, 1, generator=generator) if options.drawn else torch.ones(B, 1, 1)
    draw = (torch.rand(clean.shape, generator=generator) / strength.clamp(min=1e-9)).to(clean.device)
    anything = torch.randint(0, size, clean.shape, generator=generator).to(clean.device)
    read = torch.where(draw < options.noisy, noisy, clean)
    read = torch.where((draw >= options.noisy) & (draw < options.noisy + options.random), anything, read)
    if options.own:
        places = (draw >= options.noisy + options.random) & (draw < options.total)
        for _ in range(options.passes):
            read = torch.where(places, answer(read), read)
    return read
