"""Decoding with drafts: several tokens per pass, from guesses that are checked before they are kept.

A pass takes the last token of each row and the next few of its draft, and picks the best next token after
each of them. Drafted tokens that equal the picks are accepted, and the first pick that differs is added: the
ids are the same as with one token per pass, while keys, values and weights are read once for several. Rows
advance at their own speed.

Whether that pays depends on how often drafts are right, which differs by codebook, and on what a wider pass
costs, which differs by machine and batch; both are measured while decoding (`Widths`), and drafts that do
not pay are not used. A batch lasts as long as its row with the worst drafts: with the noisy tokens as drafts
for `nano` they pay for one or two rows, not for 8 or 16 (figures in the changelog). Uses the CPU kernel,
which takes several tokens per row; there are no drafts on CUDA.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dacse_cli.lm.attention.cache import KeyValueArena
from dacse_cli.lm.cpu.attention import CpuAttention, Kernel
from dacse_cli.lm.decoding.choice import Choice
from dacse_cli.lm.decoding.greedy import REPORT_EVERY, Ids, Report, prefill_batch
from dacse_cli.lm.model import Llama
from dacse_cli.lm.rows import BatchPlan

NONE = -1
"""In a draft: a place for which nothing was guessed."""
WIDTHS = (1, 2, 4, 8)
"""Possible numbers of tokens per row and pass."""
ASSUMED_COST = 0.15
"""Assumed cost of one more token, as a share of a pass, until it is measured; low, so that it is tried."""
SMOOTHING = 0.1
"""Weight of a new measurement in the running averages."""
PROBE = 64
"""Passes after which drafts that did not pay are tried again."""


class Widths:
    """How many tokens the next pass takes: running acceptance per codebook against running cost per pass."""

    def __init__(self, codebooks: int) -> None:
        self.acceptance = np.full(codebooks, 0.5)
        self._cost: dict[tuple[int, int], float] = {}
        self._passes = 0

    def choose(self, rows: int, first: NDArray[np.int64]) -> int:
        """For rows whose next tokens are of codebooks `first` `[rows]`."""
        self._passes += 1
        single = self._cost.get((rows, 1))
        if single is None:
            return 1
        if self._passes % PROBE == 0:
            return 2
        return max(WIDTHS, key=lambda width: self.expected(width, first) / self._price(rows, width, single))

    def expected(self, width: int, first: NDArray[np.int64]) -> float:
        """Mean tokens per row and pass: one, plus every drafted token if it and all before it are right."""
        codebooks = (first[:, None] + np.arange(width - 1)) % len(self.acceptance)
        return 1 + float(np.cumprod(self.acceptance[codebooks], axis=1).sum(axis=1).mean())

    def _price(self, rows: int, width: int, single: float) -> float:
        return self._cost.get((rows, width), single * (1 + ASSUMED_COST * (width - 1)))

    def record_cost(self, rows: int, width: int, seconds: float) -> None:
        """The time a pass took, into a running average."""
        before = self._cost.get((rows, width), seconds)
        self._cost[rows, width] = before + SMOOTHING * (seconds - before)

    def record_guess(self, codebook: int, right: bool) -> None:
        """Whether a drafted token was right, into a running average."""
        self.acceptance[codebook] += SMOOTHING * (right - self.acceptance[codebook])


def table_of(plan: BatchPlan, drafts: Sequence[Ids], ranges: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Drafts of a plan's rows, as ids, -> `[steps, rows]`, counted from their range's start, or `NONE`."""
    table = np.full((plan.steps, plan.rows), NONE, np.int64)
    bounds = np.array(ranges)[np.arange(plan.steps) % len(ranges)]  # [steps, 2]
    for row, (draft, new) in enumerate(zip(drafts, plan.news, strict=True)):
        draft = draft[:new]
        lows, highs = bounds[: len(draft)].T
        table[: len(draft), row] = np.where((draft >= lows) & (draft < highs), draft - lows, NONE)
    return table


class _Rows:
    """The tokens each row has written, and the next ones of its draft. Ids count from their choice's `lo`."""

    def __init__(self, plan: BatchPlan, drafts: NDArray[np.int64], codebooks: int) -> None:
        self.news = np.array(plan.news)
        self.done = np.zeros(plan.rows, np.int64)
        self.picked = np.zeros((plan.steps, plan.rows), np.int64)
        self.drafts, self.codebooks = drafts, codebooks
        self.health = np.zeros(plan.rows)
        self._columns = np.arange(plan.rows)

    def active(self) -> int:
        """Number of leading rows that contain every unfinished row."""
        open_rows = np.flatnonzero(self.done < self.news)
        return int(open_rows[-1]) + 1 if len(open_rows) else 0

    def guesses(self, rows: int, width: int) -> NDArray[np.int64]:
        """The drafts of the next `width - 1` tokens, `[rows, width - 1]`; `NONE` past their ends."""
        steps = self.done[:rows, None] + np.arange(width - 1)
        inside = np.minimum(steps, len(self.drafts) - 1)
        return np.where(steps < self.news[:rows, None], self.drafts[inside, self._columns[:rows, None]], NONE)

    def inputs(self, guesses: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tokens that a pass takes: the last one written and the guesses, `[rows, width]`."""
        rows = len(guesses)
        last = self.picked[self.done[:rows] - 1, self._columns[:rows]]
        return np.concatenate([last[:, None], np.maximum(guesses, 0)], axis=1)

    def keep(
        self,
        picks: NDArray[np.int64],
        guesses: NDArray[np.int64],
        sums: NDArray[np.float32],
        widths: Widths,
    ) -> None:
        """Append what `picks` `[rows, width]` and `guesses` agree on, and one pick more.

        `sums` `[rows, width]` are NaN or infinite where the network's output was; only those of kept tokens
        are used.
        """
        for row, right in enumerate(guesses == picks[:, :-1]):
            agreed = int(right.argmin()) if not right.all() else len(right)
            start, left = int(self.done[row]), int(self.news[row] - self.done[row])
            for at in range(min(agreed + 1, len(right), left)):
                if guesses[row, at] != NONE:
                    widths.record_guess((start + at) % self.codebooks, bool(right[at]))
            count = min(agreed + 1, left)
            self.picked[start : start + count, row] = picks[row, :count]
            self.health[row] += sums[row, :count].sum()
            self.done[row] += count


class DraftDecoder:
    """Decodes batches with drafts. `widths` keeps its averages from batch to batch."""

    def __init__(self, network: Llama, arena: KeyValueArena, kernel: Kernel) -> None:
        self.network, self.arena, self._kernel = network, arena, kernel
        self.widths: Widths | None = None
        self.passes = 0

    def run(
        self,
        plan: BatchPlan,
        prompts: Sequence[Ids],
        choices: Sequence[Choice],
        drafts: NDArray[np.int64],
        report: Report,
    ) -> tuple[Tensor, Tensor]:
        """As `Decoder.run`; drafts `[steps, rows]` count from their choice's `lo`, or are `NONE`."""
        if self.widths is None or len(self.widths.acceptance) != len(choices):
            self.widths = Widths(len(choices))
        network, widths = self.network, self.widths
        store = self.arena.view(plan.rows, plan.positions + WIDTHS[-1])
        h = prefill_batch(network, plan, prompts, store, [0] * plan.rows, report)
        rows = _Rows(plan, drafts, len(choices))
        first_picks = self._pick(h, choices, np.zeros((plan.rows, 1), np.int64))
        rows.keep(first_picks, np.empty((plan.rows, 0), np.int64), _sums(h, plan.rows), widths)
        attention, lengths, told = CpuAttention(store, self._kernel), np.array(plan.prompts), 0
        while count := rows.active():
            first = rows.done[:count] % len(choices)
            width = widths.choose(count, first)
            began = time.perf_counter()
            guesses = rows.guesses(count, width)
            codebooks = (first[:, None] + np.arange(width)) % len(choices)
            positions = np.minimum(lengths[:count] + rows.done[:count] - 1, plan.positions)
            attention.place(positions)
            h = self._step(rows.inputs(guesses), codebooks, positions, choices, attention)
            rows.keep(self._pick(h, choices, codebooks), guesses, _sums(h, count), widths)
            widths.record_cost(count, width, time.perf_counter() - began)
            self.passes += 1
            written = int(rows.done.max())
            if written - told >= REPORT_EVERY and written < plan.steps:
                report(written)
                told = written
        return torch.from_numpy(rows.picked), torch.from_numpy(rows.health)

    def _step(
        self,
        tokens: NDArray[np.int64],
        codebooks: NDArray[np.int64],
        positions: NDArray[np.int64],
        choices: Sequence[Choice],
        attention: CpuAttention,
    ) -> Tensor:
        """Run tokens `[B, Q]` from slots `positions` `[B]` on; the next ones are of `codebooks` `[B, Q]`."""
        los = np.array([choice.lo for choice in choices])
        ids = torch.from_numpy((tokens + los[codebooks - 1]).reshape(-1))
        x = F.embedding(ids, self.network.weights.embedding).float()
        places = positions[:, None] + np.arange(tokens.shape[1])
        places = np.minimum(places, len(self.network.rotations) - 1)  # beyond is never read
        turn = self.network.rotations[torch.from_numpy(places.reshape(-1))].unsqueeze(1)
        return self.network.step(x, turn, attention)

    def _pick(self, h: Tensor, choices: Sequence[Choice], codebooks: NDArray[np.int64]) -> NDArray[np.int64]:
        """The best ids `[B, Q]` for outputs h `[B * Q, hidden]`, each of its own codebook."""
        flat = codebooks.reshape(-1)
        picks = np.empty(len(flat), np.int64)
        for codebook in np.unique(flat):
            at = np.flatnonzero(flat == codebook)
            out = torch.empty(len(at), dtype=torch.int64)
            choices[codebook].pick(h[torch.from_numpy(at)], out)
            picks[at] = out.numpy()
        return picks.reshape(codebooks.shape)


def _sums(h: Tensor, rows: int) -> NDArray[np.float32]:
    """Sums over the hidden dimension, `[rows, tokens]`."""
    sums: NDArray[np.float32] = h.sum(-1).view(rows, -1).numpy()
    return sums
