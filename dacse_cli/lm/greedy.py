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

from dacse_cli.lm.arena import KeyValueArena
from dacse_cli.lm.attention import PrefixAttention
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

    name: str

    def run(
        self, plan: BatchPlan, prompts: Sequence[Ids], choices: Sequence[Choice], report: Report
    ) -> tuple[Tensor, Tensor]:
        """Picked ids `[steps, rows]` counted from their choice's `lo`, and whether all was finite.

        A row's entries after its own end are meaningless.
        """

    def release(self) -> None:
        """Let go of the arena's memory and of all that points into it."""


class PrefixDecoder:
    """Eager steps over the valid prefix of the cache with torch's own attention: any device and dtype."""

    name = "torch SDPA"

    def __init__(self, network: Llama, arena: KeyValueArena) -> None:
        self.network, self.arena = network, arena

    def run(
        self, plan: BatchPlan, prompts: Sequence[Ids], choices: Sequence[Choice], report: Report
    ) -> tuple[Tensor, Tensor]:
        cache = self.arena.view(plan.rows, plan.positions)
        x = prefill_batch(self.network, plan, prompts, cache, plan.pads, report)
        picked = torch.zeros(plan.steps, plan.rows, dtype=torch.int64, device=self.network.device)
        positions = _Positions(plan, self.network)
        for step, rows in enumerate(plan.alive()):
            if step:
                length = plan.end + step
                x = choices[(step - 1) % len(choices)].embed(picked[step - 1, :rows])
                turn, mask = positions.at(step - 1, rows, length)
                x = self.network.step(x, turn, PrefixAttention(cache[:, :, :rows, :, :length], mask))
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
    cache: Tensor,
    starts: Sequence[int],
    report: Report,
) -> Tensor:
    """All prompts into `cache` `[layers, 2, rows, H, positions, D]`, row r from slot `starts[r]` on.

    Rows of one length go through together, without padding and so without a mask. Returns the last
    residual stream `[rows, hidden]`.
    """
    device = network.device
    x = torch.empty(plan.rows, network.shape.hidden, device=device)
    for rows in plan.prefill(PREFILL_TOKENS.get(device.type, PREFILL_TOKENS_ELSEWHERE)):
        ids = torch.from_numpy(np.stack([prompts[row] for row in rows])).to(device)
        part, start = slice(rows.start, rows.stop), starts[rows.start]
        # slots before a prompt are masked, yet must be numbers: 0 * NaN is NaN
        cache[:, :, part, :, :start].zero_()
        x[part] = network.prefill(ids, cache[:, :, part, :, start : start + ids.shape[1]])
        report(0)
    return x


class _Positions:
    """Rotation and mask of every step. Prompts of one length need neither an index nor a mask."""

    def __init__(self, plan: BatchPlan, network: Llama) -> None:
        self.rotations, self.end = network.rotations, plan.end
        self.mixed = any(plan.pads)
        if self.mixed:
            device = network.device
            self.lengths = torch.tensor(plan.prompts, device=device)
            pads = torch.tensor(plan.pads, device=device).view(-1, 1, 1, 1)
            unused = torch.arange(plan.positions, device=device) < pads
            self.mask = torch.zeros(unused.shape, dtype=network.dtype, device=device)
            self.mask.masked_fill_(unused, float("-inf"))

    def at(self, written: int, rows: int, length: int) -> tuple[Tensor, Tensor | None]:
        """For the token that is number `written` after the prompt; `length` slots are valid then."""
        if not self.mixed:
            return self.rotations[self.end + written], None
        turn = self.rotations[self.lengths[:rows] + written].unsqueeze(1)
        return turn, self.mask[:rows, ..., :length]
