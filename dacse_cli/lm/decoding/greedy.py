"""Greedy decoding of a planned batch on any device: prefill, then one step per token.

Token n of every row is the best id within the n-th choice (cyclic). Positions, choices and written tokens
stay on the device: the host does not wait for it until the last token is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dacse_cli.lm.attention.cache import Cache, KeyValueArena, format_note
from dacse_cli.lm.attention.prefix import PrefixAttention, RoundedPrefixAttention, StepAttention
from dacse_cli.lm.decoding.choice import Choice
from dacse_cli.lm.model import Llama
from dacse_cli.lm.rows import BatchPlan
from dacse_cli.lm.sampling import RowNoise

Ids = NDArray[np.int64]
Report = Callable[[int], None]
PREFILL_TOKENS = {"cpu": 2048}
"""Prompt tokens of one prefill pass, which bounds its scratch memory."""
PREFILL_TOKENS_ELSEWHERE = 8192
REPORT_EVERY = 50


class Decoder(Protocol):
    """A way of decoding a batch."""

    @property
    def name(self) -> str:
        """What `describe` says of it."""

    def run(
        self,
        plan: BatchPlan,
        prompts: Sequence[Ids],
        choices: Sequence[Choice],
        report: Report,
        noise: RowNoise | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Picked ids `[steps, rows]` counted from their choice's `lo`, and a number `[rows]` per row.

        That number is NaN or infinite if any output of the network for this row was, up to the row's end.
        Picked ids after a row's own end are meaningless.
        """

    def prepare(self, rows: int, positions: int, choices: Sequence[Choice], *, one: bool = False) -> None:
        """Prepare for batches of up to this size, or with `one` of exactly this size."""

    def release(self) -> None:
        """Drop references to the cache's memory."""


class Backend(Protocol):
    """How an `EagerDecoder` attends."""

    name: str

    def starts(self, plan: BatchPlan) -> Sequence[int]:
        """The slot at which each row's prompt begins."""

    def begin(self, plan: BatchPlan, store: Cache) -> Callable[[int, int], StepAttention]:
        """A function from (tokens written after the prompt, rows) to the attention of the next step."""


class PrefixBackend:
    """Torch's own attention over the filled part of the cache: any device and dtype."""

    def __init__(self, stored: torch.dtype) -> None:
        self.name = "torch SDPA" + format_note(stored)

    def starts(self, plan: BatchPlan) -> Sequence[int]:
        """All prompts end at one slot, so that one slice of the cache serves all rows."""
        return plan.pads

    def begin(self, plan: BatchPlan, store: Cache) -> Callable[[int, int], StepAttention]:
        """Masks are made only where prompts differ in length."""
        cache, mask = store.values, None
        if plan.mixed:
            pads = torch.tensor(plan.pads, device=cache.device).view(-1, 1, 1, 1)
            unused = torch.arange(plan.positions, device=cache.device) < pads
            numbers = cache.dtype if store.scales is None else torch.float32
            mask = torch.zeros(unused.shape, dtype=numbers, device=cache.device)
            mask.masked_fill_(unused, float("-inf"))

        def at(written: int, rows: int) -> StepAttention:
            length = plan.end + written + 1
            valid = None if mask is None else mask[:rows, ..., :length]
            prefix = store.part(slice(rows), 0, length)
            if prefix.scales is not None:
                return RoundedPrefixAttention(prefix, valid)
            return PrefixAttention(prefix.values, valid)

        return at


class EagerDecoder:
    """One step after the other, operation by operation."""

    def __init__(self, network: Llama, arena: KeyValueArena, backend: Backend | None = None) -> None:
        self.network, self.arena = network, arena
        self.backend = backend or PrefixBackend(arena.dtype)

    @property
    def name(self) -> str:
        return self.backend.name

    def run(
        self,
        plan: BatchPlan,
        prompts: Sequence[Ids],
        choices: Sequence[Choice],
        report: Report,
        noise: RowNoise | None = None,
    ) -> tuple[Tensor, Tensor]:
        network = self.network
        store = self.arena.view(plan.rows, plan.positions)
        h = prefill_batch(network, plan, prompts, store, self.backend.starts(plan), report)
        picked = torch.zeros(plan.steps, plan.rows, dtype=torch.int64, device=network.device)
        health = torch.zeros(plan.rows, device=network.device)
        turns, attention = _Turns(plan, network), self.backend.begin(plan, store)
        for step, rows in enumerate(plan.alive()):
            if step:
                x = choices[(step - 1) % len(choices)].embed(picked[step - 1, :rows])
                h = network.step(x, turns.at(step - 1, rows), attention(step - 1, rows))
            health[:rows] += h.sum(-1)
            choice = choices[step % len(choices)]
            added = None if noise is None else noise.next(rows, choice.size)
            choice.pick(h, picked[step, :rows], added)
            if step % REPORT_EVERY == REPORT_EVERY - 1:
                report(step + 1)
        return picked, health

    def prepare(self, rows: int, positions: int, choices: Sequence[Choice], *, one: bool = False) -> None:
        """Nothing: memory is taken when a batch needs it."""

    def release(self) -> None:
        """Nothing is kept between batches."""


def prefill_batch(
    network: Llama,
    plan: BatchPlan,
    prompts: Sequence[Ids],
    store: Cache,
    starts: Sequence[int],
    report: Report,
) -> Tensor:
    """Run all prompts and fill the cache, row r from slot `starts[r]` on.

    Rows of one length go through together, without padding and so without a mask. Returns the network's
    output at the last prompt token, float32 `[rows, hidden]`.
    """
    device = network.device
    h = torch.empty(plan.rows, network.shape.hidden, device=device)
    for rows in plan.prefill(PREFILL_TOKENS.get(device.type, PREFILL_TOKENS_ELSEWHERE)):
        ids = torch.from_numpy(np.stack([prompts[row] for row in rows])).to(device)
        part, start = slice(rows.start, rows.stop), starts[rows.start]
        store.clear(part, start)
        h[part] = network.prefill(ids, store.part(part, start, start + ids.shape[1]))
        report(0)
    return h


class _Turns:
    """The rotary rotation of every step. Prompts of one length need no index."""

    def __init__(self, plan: BatchPlan, network: Llama) -> None:
        self.rotations, self.end = network.rotations, plan.end
        self.lengths = torch.tensor(plan.prompts, device=network.device) if plan.mixed else None

    def at(self, written: int, rows: int) -> Tensor:
        """The rotation for the token that is number `written` after the prompt."""
        if self.lengths is None:
            return self.rotations[self.end + written]
        return self.rotations[self.lengths[:rows] + written].unsqueeze(1)
