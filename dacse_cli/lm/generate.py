"""Greedy generation for a batch of prompts: the loop around the network.

Token n of every row is the best id within `ranges[n % len(ranges)]`; only those rows of the head are
multiplied. Positions, choices and written tokens stay on the device: nothing waits for it until the last
token is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.lm.arena import KeyValueArena
from dacse_cli.lm.linear import Linear, make_linear
from dacse_cli.lm.model import Llama
from dacse_cli.lm.rows import BatchPlan, plan_batch

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
        self.head: Linear = make_linear(network.weights.head[lo:hi])
        self.embedding = network.weights.embedding[lo:hi]

    def pick(self, normed: Tensor, out: Tensor) -> None:
        """The best id of every row, counted from `lo`, into `out` int64 `[B]`."""
        torch.argmax(self.head(normed), dim=-1, out=out)

    def embed(self, picked: Tensor) -> Tensor:
        """What `pick` wrote, as float32 `[B, hidden]`."""
        return F.embedding(picked, self.embedding).float()


class LanguageModel:
    """A loaded Llama that continues prompts. Not for use by two threads at once: the cache is shared."""

    def __init__(self, network: Llama) -> None:
        self.network = network
        self.arena = KeyValueArena(network.shape, network.device, network.dtype)
        self._choices: dict[tuple[int, int], Choice] = {}

    @property
    def device(self) -> str:
        return str(self.network.device)

    @property
    def dtype(self) -> str:
        return str(self.network.dtype).removeprefix("torch.")

    @property
    def vocab_size(self) -> int:
        return self.network.shape.vocab_size

    @property
    def max_positions(self) -> int:
        """Prompt and new tokens of one request together."""
        return self.network.shape.max_positions

    def row_bytes(self, positions: int) -> int:
        """Cache bytes of one row whose prompt and new tokens make `positions` positions."""
        return self.network.shape.position_elements * positions * self.network.dtype.itemsize

    def describe(self) -> str:
        """What runs, for logs: size, precision, device and the attention that was chosen."""
        shape = self.network.shape
        return (
            f"Llama {shape.layers} x {shape.hidden}, {shape.heads}/{shape.kv_heads} heads, "
            f"{self.dtype} on {self.device}, attention: torch SDPA"
        )

    def release(self) -> None:
        """Give the cache's memory back until the next batch."""
        self.arena.release()

    def generate(
        self,
        prompts: Sequence[Ids],
        new_tokens: Sequence[int],
        ranges: Sequence[tuple[int, int]],
        on_step: Report | None = None,
    ) -> list[Ids]:
        """Continue every prompt (int64 `[P_i]`) by exactly `new_tokens[i]` ids, `[n_i]` each.

        `on_step` hears 0 after every prefill pass, then the number of tokens written by the longest row,
        every `REPORT_EVERY` tokens and at the end; it may raise to stop. Raises `UsageError` (does not fit
        the context), `CheckpointError` (the network computes NaN), `torch.OutOfMemoryError` or
        `MemoryError` (fewer rows may fit), `ValueError` (ids or ranges outside the vocabulary).
        """
        report = on_step or (lambda step: None)
        self._check(prompts, new_tokens, ranges)
        written = [np.empty(0, dtype=np.int64) for _ in prompts]
        plan = plan_batch([len(prompt) for prompt in prompts], new_tokens)
        if plan is None:
            return written
        with torch.inference_mode():
            ids = self._run(plan, [prompts[i] for i in plan.order], ranges, report)
        for row, request in enumerate(plan.order):
            written[request] = np.ascontiguousarray(ids[: plan.news[row], row])
        return written

    def _check(self, prompts: Sequence[Ids], news: Sequence[int], ranges: Sequence[tuple[int, int]]) -> None:
        if len(prompts) != len(news):
            raise ValueError(f"{len(prompts)} prompts but {len(news)} lengths")
        if not ranges or any(not 0 <= lo < hi <= self.vocab_size for lo, hi in ranges):
            raise ValueError(f"ranges must be non-empty parts of 0..{self.vocab_size}: {list(ranges)}")
        for prompt, new in zip(prompts, news, strict=True):
            if prompt.ndim != 1 or not len(prompt) or prompt.min() < 0 or prompt.max() >= self.vocab_size:
                raise ValueError("a prompt must be a non-empty row of ids of the vocabulary")
            if len(prompt) + new > self.max_positions:
                raise UsageError(
                    f"{len(prompt)} + {new} tokens do not fit the model's {self.max_positions} positions",
                    hint="use a shorter --chunk",
                )

    def _run(
        self,
        plan: BatchPlan,
        prompts: list[Ids],
        ranges: Sequence[tuple[int, int]],
        report: Report,
    ) -> Ids:
        """The ids of all rows, `[steps, rows]`; a row's entries after its own end are meaningless."""
        cache = self.arena.view(plan.rows, plan.positions)
        x = self._prefill(plan, prompts, cache, report)
        choices = [self._choice(lo, hi) for lo, hi in ranges]
        picked = torch.zeros(plan.steps, plan.rows, dtype=torch.int64, device=self.network.device)
        position = _Positions(plan, self.network)
        for step, rows in enumerate(plan.alive()):
            choice = choices[step % len(choices)]
            if step:
                length = plan.end + step
                x = choices[(step - 1) % len(choices)].embed(picked[step - 1, :rows])
                turn, mask = position.at(step - 1, rows, length)
                x = self.network.step(x, cache[:, :, :rows, :, :length], turn, mask)
            choice.pick(self.network.normed(x), picked[step, :rows])
            if step % REPORT_EVERY == REPORT_EVERY - 1:
                report(step + 1)
        if not bool(x.isfinite().all()):
            raise CheckpointError(
                f"the model computes NaN or infinite values in {self.dtype}", hint="try --dtype float32"
            )
        report(plan.steps)
        offsets = np.array([choices[step % len(choices)].lo for step in range(plan.steps)], dtype=np.int64)
        ids: Ids = picked.cpu().numpy() + offsets[:, None]
        return ids

    def _prefill(self, plan: BatchPlan, prompts: list[Ids], cache: Tensor, report: Report) -> Tensor:
        """All prompts into the cache, each ending at `plan.end`; the last residual stream `[rows, hidden]`.

        Rows of one length go through together, without padding and so without a mask.
        """
        device = self.network.device
        x = torch.empty(plan.rows, self.network.shape.hidden, device=device)
        for rows in plan.prefill(PREFILL_TOKENS.get(device.type, PREFILL_TOKENS_ELSEWHERE)):
            ids = torch.from_numpy(np.stack([prompts[row] for row in rows])).to(device)
            part = slice(rows.start, rows.stop)
            start = plan.end - ids.shape[1]
            # unused slots are masked, yet must be numbers: 0 * NaN is NaN
            cache[:, :, part, :, :start].zero_()
            x[part] = self.network.prefill(ids, cache[:, :, part, :, start : plan.end])
            report(0)
        return x

    def _choice(self, lo: int, hi: int) -> Choice:
        if (lo, hi) not in self._choices:
            self._choices[lo, hi] = Choice(self.network, lo, hi)
        return self._choices[lo, hi]


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
        """For the token written `written` steps after the prompt; `length` slots are valid then."""
        if not self.mixed:
            return self.rotations[self.end + written], None
        turn = self.rotations[self.lengths[:rows] + written].unsqueeze(1)
        return turn, self.mask[:rows, ..., :length]
