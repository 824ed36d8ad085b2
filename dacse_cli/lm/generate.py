"""Interface of the language model: prompts in, exactly the requested number of ids out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.lm.attention.cache import ROUNDED, KeyValueArena
from dacse_cli.lm.attention.prefix import BackendUnavailableError
from dacse_cli.lm.cpu.attention import CpuBackend
from dacse_cli.lm.cpu.drafts import DraftDecoder, table_of
from dacse_cli.lm.decoding.backends import Ladder, check_cache, find_decoders
from dacse_cli.lm.decoding.choice import Choice
from dacse_cli.lm.decoding.greedy import Decoder, EagerDecoder, Ids, Report
from dacse_cli.lm.model import Llama
from dacse_cli.lm.rows import NOBODY, BatchPlan, FixedShape, plan_batch
from dacse_cli.lm.sampling import Draw, RowNoise

Ranges = Sequence[tuple[int, int]]
Result = TypeVar("Result")
BATCH_CAP = {"cpu": 16, "cuda": 64, "mps": 16}
"""Rows beyond which a larger batch is hardly faster, because reading the rows' caches takes most time."""


class LanguageModel:
    """A loaded Llama that continues prompts. Not for two threads at once: the cache is shared."""

    def __init__(self, network: Llama, *, kv: str = "auto") -> None:
        """`kv` names the cache's format: `auto` (the network's), `int8` or `fp8`. Raises `DeviceError`."""
        check_cache(kv, network.device)
        self.network = network
        self.arena = KeyValueArena(network.shape, network.device, ROUNDED.get(kv, network.dtype))
        self._choices: dict[tuple[int, int], Choice] = {}
        self._fixed: FixedShape | None = None
        self._drafter: DraftDecoder | None = None
        with self._on_device():
            self._use(find_decoders(network, self.arena))

    def use(self, decoder: Decoder) -> None:
        """Decode with this decoder from now on, or with torch's attention if it fails."""
        self._use(Ladder([decoder, EagerDecoder(self.network, self.arena)]))

    def _use(self, ladder: Ladder) -> None:
        self.arena.before_release()
        self._ladder = ladder
        self.arena.before_release = ladder.release

    @property
    def decoder(self) -> Decoder:
        """The way of decoding in use."""
        return self._ladder.best

    def fix(self, shape: FixedShape) -> None:
        """Give every later batch this shape, so that the ids of a row do not depend on the other rows.

        Raises `torch.OutOfMemoryError` or `MemoryError` where there is no memory for it.
        """
        self.arena.view(shape.rows, shape.positions)
        self._fixed = shape

    def prepare(self, rows: int, positions: int, ranges: Ranges) -> None:
        """Capture decode steps for batches of up to `rows` rows of up to `positions` positions (CUDA).

        Otherwise this happens during the first batches, one by one. Batches of a fixed shape have only one
        graph. Raises `torch.OutOfMemoryError`.
        """
        choices, fixed = [self._choice(lo, hi) for lo, hi in ranges], self._fixed
        if fixed is not None:
            rows, positions = fixed.rows, fixed.positions
        with torch.inference_mode(), self._on_device():
            self._try(lambda decoder: decoder.prepare(rows, positions, choices, one=fixed is not None))

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

    @property
    def useful_rows(self) -> int:
        """Rows beyond which a larger batch is hardly faster; twice as many with a cache of half the bytes."""
        device, halved = self.network.device.type, self.arena.dtype.itemsize < self.network.dtype.itemsize
        return BATCH_CAP[device] * (2 if device == "cuda" and halved else 1)

    @property
    def takes_drafts(self) -> bool:
        """Whether drafts are used: by the CPU kernel, in batches of any shape, in float32.

        Then drafts change no id; in bfloat16 another number of tokens per pass can change ids.
        """
        return self._draft_backend() is not None

    def _draft_backend(self) -> CpuBackend | None:
        decoder = self.decoder
        if self._fixed or self.network.dtype is not torch.float32 or not isinstance(decoder, EagerDecoder):
            return None
        return decoder.backend if isinstance(decoder.backend, CpuBackend) else None

    def row_bytes(self, positions: int) -> int:
        """Cache bytes of one row whose prompt and new tokens take `positions` positions."""
        return self.arena.position_bytes * positions

    def describe(self) -> str:
        """One line for logs: size, precision, device, the attention in use and why not a faster one."""
        shape = self.network.shape
        return (
            f"Llama {shape.layers} x {shape.hidden}, {shape.heads}/{shape.kv_heads} heads, "
            f"{self.dtype} on {self.device}, attention: {self._ladder.describe()}"
        )

    def release(self) -> None:
        """Free the cache's memory until the next batch."""
        self.arena.release()

    def generate(
        self,
        prompts: Sequence[Ids],
        new_tokens: Sequence[int],
        ranges: Ranges,
        on_step: Report | None = None,
        draws: Sequence[Draw] | None = None,
        drafts: Sequence[Ids] | None = None,
    ) -> list[Ids]:
        """Continue every prompt (int64 `[P_i]`) by exactly `new_tokens[i]` ids, `[n_i]` each.

        Token n is the best id within range n (cyclic); with `draws`, one per row, it is sampled. `drafts`
        are guesses of the answers (int64 `[n_i]`, -1 for none): where they are used (`takes_drafts`),
        several are checked at once, which changes no id but saves time.

        `on_step` is called with 0 after every prefill pass, then with the number of tokens written by the
        longest row, about every 50 tokens and at the end; it may raise to stop. Raises `UsageError` (does
        not fit the context), `CheckpointError` (the network computes NaN), `torch.OutOfMemoryError` or
        `MemoryError` (fewer rows may fit), `ValueError` (ids or ranges outside the vocabulary).
        """
        report = on_step or (lambda step: None)
        self._check(prompts, new_tokens, ranges)
        written = [np.empty(0, dtype=np.int64) for _ in prompts]
        plan = plan_batch([len(prompt) for prompt in prompts], new_tokens, self._fixed)
        if plan is None:
            return written
        ordered = [prompts[i] if i != NOBODY else np.zeros(1, np.int64) for i in plan.order]
        with torch.inference_mode(), self._on_device():
            choices = [self._choice(lo, hi) for lo, hi in ranges]
            if drafts is not None and draws is None and self.takes_drafts:
                guesses = table_of(plan, [drafts[i] for i in plan.order], ranges)
                picked, health = self._drafting().run(plan, ordered, choices, guesses, report)
            else:
                noise = draws and RowNoise([_draw_of(draws, i) for i in plan.order], self.network.device)
                picked, health = self._try(
                    lambda decoder: decoder.run(plan, ordered, choices, report, noise or None)
                )
            ids = self._ids(plan, picked, health, choices)
        report(plan.steps)
        for row, request in enumerate(plan.order):
            if request != NOBODY:
                written[request] = np.ascontiguousarray(ids[: plan.news[row], row])
        return written

    def _check(self, prompts: Sequence[Ids], news: Sequence[int], ranges: Ranges) -> None:
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
                    hint="use a shorter `chunk`",
                )

    def _try(self, work: Callable[[Decoder], Result]) -> Result:
        """Run `work` with the best decoder that works; decoders fail before the first token or not at all."""
        while True:
            try:
                return work(self.decoder)
            except BackendUnavailableError as error:
                self._ladder.step_down(error)

    def _drafting(self) -> DraftDecoder:
        backend = self._draft_backend()
        assert backend is not None
        if self._drafter is None:
            self._drafter = DraftDecoder(self.network, self.arena, backend.kernel)
        return self._drafter

    def _ids(self, plan: BatchPlan, picked: Tensor, health: Tensor, choices: Sequence[Choice]) -> Ids:
        """The ids of all rows, `[steps, rows]`; entries after a row's own end are meaningless."""
        if not bool(health.isfinite().all()):
            raise CheckpointError(
                f"the model computes NaN or infinite values in {self.dtype}", hint='try `dtype="float32"`'
            )
        offsets = np.array([choices[step % len(choices)].lo for step in range(plan.steps)], dtype=np.int64)
        ids: Ids = picked.cpu().numpy() + offsets[:, None]
        return ids

    def _choice(self, lo: int, hi: int) -> Choice:
        if (lo, hi) not in self._choices:
            self._choices[lo, hi] = Choice(self.network, lo, hi)
        return self._choices[lo, hi]

    def _on_device(self) -> AbstractContextManager[object]:
        """Make the network's device current, because kernels are launched on the current device."""
        device = self.network.device
        return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _draw_of(draws: Sequence[Draw], request: int) -> Draw:
    """How a row is sampled; filler rows of a fixed shape take the best id."""
    return draws[request] if request != NOBODY else Draw(0.0, 0)
