"""The language model as others see it: prompts in, exactly so many ids out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dacse_cli.errors import CheckpointError, DeviceError, UsageError
from dacse_cli.lm.arena import ROUNDED, KeyValueArena
from dacse_cli.lm.drafts import DraftDecoder, table_of
from dacse_cli.lm.graphs import GraphDecoder, RungUnavailableError, find_kernel
from dacse_cli.lm.greedy import Choice, Decoder, EagerDecoder, Ids, Report
from dacse_cli.lm.host import HostRung, KernelUnavailableError, load_kernel
from dacse_cli.lm.model import Llama
from dacse_cli.lm.rows import NOBODY, BatchPlan, FixedShape, plan_batch
from dacse_cli.lm.sampling import Dice, Draw, DrawnChoice

AUTO = "use --kv auto"


class LanguageModel:
    """A loaded Llama that continues prompts. Not for use by two threads at once: the cache is shared."""

    def __init__(self, network: Llama, *, kv: str = "auto") -> None:
        """`kv` names the cache's numbers: `auto` (the network's), `int8` or `fp8`. Raises `DeviceError`."""
        _check_cache(kv, network.device)
        self.network = network
        self.arena = KeyValueArena(network.shape, network.device, ROUNDED.get(kv, network.dtype))
        self._choices: dict[tuple[int, int], Choice] = {}
        self._fixed: FixedShape | None = None
        self._drafter: DraftDecoder | None = None
        self._eager, self._why = self._best_eager()
        self.decoder: Decoder = self._eager
        kernel = find_kernel(network) if kv == "auto" else None
        if kernel is not None:
            self.decoder = GraphDecoder(network, self.arena, kernel)

    def _best_eager(self) -> tuple[EagerDecoder, str]:
        """The best rung without graphs, and why it is not a better one. Raises `DeviceError`."""
        network, stored = self.network, self.arena.dtype
        if network.device.type != "cpu" or stored is ROUNDED["fp8"]:
            return EagerDecoder(network, self.arena), ""
        try:
            kernel = load_kernel(network.shape.head_dim, network.dtype, stored)
        except KernelUnavailableError as error:
            if stored is ROUNDED["int8"]:
                raise DeviceError(f"an int8 cache cannot be had: {error}", hint=AUTO) from None
            return EagerDecoder(network, self.arena), f" ({error})"
        return EagerDecoder(network, self.arena, HostRung(kernel, stored)), ""

    def fix(self, shape: FixedShape) -> None:
        """From now on every batch has this shape, so that no row's ids depend on the others.

        Raises `torch.OutOfMemoryError` or `MemoryError` where there is no memory for it.
        """
        self.arena.view(shape.rows, shape.positions)
        self._fixed = shape

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
    def takes_drafts(self) -> bool:
        """Whether drafts are looked at: by the CPU's own kernel, in batches of any shape, in float32.

        There they change no id; in bfloat16 another width of a pass may.
        """
        own = isinstance(self._eager.rung, HostRung) and self.decoder is self._eager
        return own and not self._fixed and self.network.dtype is torch.float32

    def row_bytes(self, positions: int) -> int:
        """Cache bytes of one row whose prompt and new tokens make `positions` positions."""
        return self.arena.position_bytes * positions

    def describe(self) -> str:
        """What runs, for logs: size, precision, device and the attention that was chosen."""
        shape = self.network.shape
        return (
            f"Llama {shape.layers} x {shape.hidden}, {shape.heads}/{shape.kv_heads} heads, "
            f"{self.dtype} on {self.device}, attention: {self.decoder.name}{self._why}"
        )

    def release(self) -> None:
        """Give the cache's memory back until the next batch."""
        self.decoder.release()
        self.arena.release()

    def generate(
        self,
        prompts: Sequence[Ids],
        new_tokens: Sequence[int],
        ranges: Sequence[tuple[int, int]],
        on_step: Report | None = None,
        draws: Sequence[Draw] | None = None,
        drafts: Sequence[Ids] | None = None,
    ) -> list[Ids]:
        """Continue every prompt (int64 `[P_i]`) by exactly `new_tokens[i]` ids, `[n_i]` each.

        The best id every time; with `draws`, one a row, by chance, at the plain rung's speed. `drafts` are
        guesses of what will be written (int64 `[n_i]`, -1 for none): where they are looked at
        (`takes_drafts`), several are checked at once, which changes no id but saves time.

        `on_step` hears 0 after every prefill pass, then the number of tokens written by the longest row,
        about every 50 tokens and at the end; it may raise to stop. Raises `UsageError` (does not fit
        the context), `CheckpointError` (the network computes NaN), `torch.OutOfMemoryError` or
        `MemoryError` (fewer rows may fit), `ValueError` (ids or ranges outside the vocabulary).
        """
        report = on_step or (lambda step: None)
        self._check(prompts, new_tokens, ranges)
        written = [np.empty(0, dtype=np.int64) for _ in prompts]
        plan = plan_batch([len(prompt) for prompt in prompts], new_tokens, self._fixed)
        if plan is None:
            return written
        with torch.inference_mode():
            ordered = [prompts[i] if i != NOBODY else np.zeros(1, np.int64) for i in plan.order]
            if drafts is not None and draws is None and self.takes_drafts:
                ids = self._draft(plan, ordered, ranges, report, [drafts[i] for i in plan.order])
            elif draws is None:
                ids = self._run(plan, ordered, ranges, report)
            else:
                drawn = [draws[i] if i != NOBODY else Draw(0.0, 0) for i in plan.order]
                ids = self._draw(plan, ordered, ranges, report, drawn)
        for row, request in enumerate(plan.order):
            if request != NOBODY:
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
        choices = [self._choice(lo, hi) for lo, hi in ranges]
        try:
            picked, finite = self.decoder.run(plan, prompts, choices, report)
        except RungUnavailableError as error:  # raised before the first token
            self._why = f" ({self.decoder.name} failed: {error})"
            self.decoder = self._eager
            picked, finite = self.decoder.run(plan, prompts, choices, report)
        return self._ids(plan, picked, finite, choices, report)

    def _draw(
        self,
        plan: BatchPlan,
        prompts: list[Ids],
        ranges: Sequence[tuple[int, int]],
        report: Report,
        draws: list[Draw],
    ) -> Ids:
        """As `_run`, by chance. Faster rungs have no place for noise from outside; second tries are few."""
        dice = Dice(draws, self.network.device)
        choices = [DrawnChoice(self._choice(lo, hi), dice) for lo, hi in ranges]
        picked, finite = self._eager.run(plan, prompts, choices, report)
        return self._ids(plan, picked, finite, choices, report)

    def _draft(
        self,
        plan: BatchPlan,
        prompts: list[Ids],
        ranges: Sequence[tuple[int, int]],
        report: Report,
        drafts: list[Ids],
    ) -> Ids:
        """As `_run`, several tokens a pass where drafts are good enough."""
        assert isinstance(self._eager.rung, HostRung)
        if self._drafter is None:
            self._drafter = DraftDecoder(self.network, self.arena, self._eager.rung.kernel)
        choices = [self._choice(lo, hi) for lo, hi in ranges]
        picked, finite = self._drafter.run(plan, prompts, choices, table_of(plan, drafts, ranges), report)
        return self._ids(plan, picked, finite, choices, report)

    def _ids(
        self, plan: BatchPlan, picked: Tensor, finite: Tensor, choices: Sequence[Choice], report: Report
    ) -> Ids:
        if not bool(finite):
            raise CheckpointError(
                f"the model computes NaN or infinite values in {self.dtype}", hint="try --dtype float32"
            )
        report(plan.steps)
        offsets = np.array([choices[step % len(choices)].lo for step in range(plan.steps)], dtype=np.int64)
        ids: Ids = picked.cpu().numpy() + offsets[:, None]
        return ids

    def _choice(self, lo: int, hi: int) -> Choice:
        if (lo, hi) not in self._choices:
            self._choices[lo, hi] = Choice(self.network, lo, hi)
        return self._choices[lo, hi]


def _check_cache(kv: str, device: torch.device) -> None:
    if kv == "int8" and device.type != "cpu":
        raise DeviceError(f"an int8 cache is for CPUs, not for {device}", hint=AUTO)
    if kv == "fp8" and device.type == "mps":
        raise DeviceError(f"an fp8 cache is for CUDA devices and CPUs, not for {device}", hint=AUTO)
