"""Greedy decoding of a planned batch on any device: prefill, then one step a token.

Token n of every row is the best id within the n-th choice (cyclic); only those rows of the head are
multiplied. Positions, choices and written tokens stay on the device: nothing waits for it until the last
token is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dacse_cli.lm.arena import Cache, KeyValueArena, note
from dacse_cli.lm.attention import PrefixAttention, RoundedPrefixAttention, StepAttention
from dacse_cli.lm.linear import make_linear
from dacse_cli.lm.model import Llama
from dacse_cli.lm.rows import BatchPlan

Ids = NDArray[np.int64]
Report = Callable[[int], None]
PREFILL_TOKENS = {"cpu": 2048}
"""Prompt tokens a prefill pass holds at once; bounds its scratch memory."""
PREFILL_TOKENS_ELSEWHERE = 8192
REPORT_EVERY = 50


class Choice:
    """One allowed range `lo <= id < hi`: its rows of the head and of the embedding."""

    def __init__(self, network: Llama, lo: int, hi: int) -> None:
        self.lo = lo
        self.head = make_linear(network.weights.head[lo:hi])
        self.embedding = network.weights.embedding[lo:hi]

    def pick(self, normed: Tensor, out: Tensor) -> None:
        """The best id of every row, counted from `lo`, into `out` int64 `[B]`."""
        torch.argmax(self.head(normed), dim=-1, out=out)

    def embed(self, picked: Tensor) -> Tensor:
        """What `pick` wrote, as float32 `[B, hidden]`."""
        return F.embedding(picked, self.embedding).float()


class Decoder(Protocol):
    """A way of running a batch; the rungs of the ladder."""

    @property
    def name(self) -> str:
        """What `-v` says of it."""

    def run(
        self, plan: BatchPlan, prompts: Sequence[Ids], choices: Sequence[Choice], report: Report
    ) -> tuple[Tensor, Tensor]:
        """Picked ids `[steps, rows]` counted from their choice's `lo`, and whether all was finite.

        A row's entries after its own end are meaningless.
        """

    def release(self) -> None:
        """Let go of the arena's memory and of all that points into it."""


class Rung(Protocol):
    """How an `EagerDecoder` attends."""

    name: str

    def starts(self, plan: BatchPlan) -> Sequence[int]:
        """The slot at which each row's prompt begins."""

    def begin(self, plan: BatchPlan, store: Cache) -> Callable[[int, int], StepAttention]:
        """A function from (tokens written after the prompt, rows) to the attention of the next step."""


class PrefixRung:
    """torch's own attention over the valid prefix of the cache: any device and dtype."""

    def __init__(self, stored: torch.dtype) -> None:
        self.name = "torch SDPA" + note(stored)

    def starts(self, plan: BatchPlan) -> Sequence[int]:
        """All prompts end at one slot, so that one slice of the cache serves all rows."""
        return plan.pads

    def begin(self, plan: BatchPlan, store: Cache) -> Callable[[int, int], StepAttention]:
        """Masks exist only where prompts differ in length."""
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

    def __init__(self, network: Llama, arena: KeyValueArena, rung: Rung | None = None) -> None:
        self.network, self.arena, self.rung = network, arena, rung or PrefixRung(arena.dtype)

    @property
    def name(self) -> str:
        return self.rung.name

    def run(
        self, plan: BatchPlan, prompts: Sequence[Ids], choices: Sequence[Choice], report: Report
    ) -> tuple[Tensor, Tensor]:
        store = self.arena.view(plan.rows, plan.positions)
        x = prefill_batch(self.network, plan, prompts, store, self.rung.starts(plan), report)
        picked = torch.zeros(plan.steps, plan.rows, dtype=torch.int64, device=self.network.device)
        turns, attention = _Turns(plan, self.network), self.rung.begin(plan, store)
        for step, rows in enumerate(plan.alive()):
            if step:
                x = choices[(step - 1) % len(choices)].embed(picked[step - 1, :rows])
                x = self.network.step(x, turns.at(step - 1, rows), attention(step - 1, rows))
            choices[step % len(choices)].pick(self.network.normed(x), picked[step, :rows])
            if step % REPORT_EVERY == REPORT_EVERY - 1:
                report(step + 1)
        return picked, x.isfinite().all()

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
    """All prompts into the cache, row r from slot `starts[r]` on.

    Rows of one length go through together, without padding and so without a mask. Returns the last
    residual stream `[rows, hidden]`.
    """
    device = network.device
    x = torch.empty(plan.rows, network.shape.hidden, device=device)
    for rows in plan.prefill(PREFILL_TOKENS.get(device.type, PREFILL_TOKENS_ELSEWHERE)):
        ids = torch.from_numpy(np.stack([prompts[row] for row in rows])).to(device)
        part, start = slice(rows.start, rows.stop), starts[rows.start]
        store.clear(part, start)
        x[part] = network.prefill(ids, store.part(part, start, start + ids.shape[1]))
        report(0)
    return x


class _Turns:
    """Rotation of every step. Prompts of one length need no index."""

    def __init__(self, plan: BatchPlan, network: Llama) -> None:
        self.rotations, self.end = network.rotations, plan.end
        self.lengths = torch.tensor(plan.prompts, device=network.device) if plan.mixed else None

    def at(self, written: int, rows: int) -> Tensor:
        """For the token that is number `written` after the prompt."""
        if self.lengths is None:
            return self.rotations[self.end + written]
        return self.rotations[self.lengths[:rows] + written].unsqueeze(1)
