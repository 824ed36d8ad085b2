"""Decoding with every length and position on the device, so that steps can be captured as CUDA graphs.

One graph is a whole cycle of choices (9 tokens for 9 codebooks), so a token costs a ninth of a launch. Graphs
are captured at fixed numbers of rows over one layout of the cache, with one memory pool, and serve every
batch that fits the layout. Rows start at slot 0 and may differ in length; there are no masks. A row that has
written all its tokens goes back to position 0, where it reads no slot but its own.

All but the kernels and the capture is tested on the CPU, the Triton kernels by Triton's interpreter.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import torch
from torch import Tensor

from dacse_cli.lm.attention.cache import Cache, KeyValueArena
from dacse_cli.lm.attention.prefix import BackendUnavailableError, StepAttention
from dacse_cli.lm.decoding.choice import Choice
from dacse_cli.lm.decoding.greedy import REPORT_EVERY, Ids, Report, prefill_batch
from dacse_cli.lm.gpu.capture import Capture, GraphCapture, Replay, graph_rows
from dacse_cli.lm.gpu.state import DeviceState
from dacse_cli.lm.model import Llama, Pointwise
from dacse_cli.lm.rows import BatchPlan
from dacse_cli.lm.sampling import RowNoise

SLOT_STEP = 64
"""The slots of a layout are rounded up to a multiple of this."""


class BoundAttention(StepAttention, Protocol):
    """Attention of some rows of one cache."""

    def begin(self) -> Tensor | None:
        """Called before each token; the rotation of queries and keys, None if the kernel rotates them."""


class DeviceAttention(Protocol):
    """A kernel that reads positions from device memory."""

    @property
    def name(self) -> str:
        """What `describe` says of it."""

    @property
    def position_major(self) -> bool:
        """The layout of the cache it reads, as in `KeyValueArena.view`."""

    @property
    def pointwise(self) -> Pointwise | None:
        """Fused operations for the rest of a step, if there are any."""

    def bind(self, store: Cache, positions: Tensor) -> BoundAttention:
        """Attention of the first rows of `store`, with new tokens at `positions` int64 `[rows]`."""


class GraphDecoder:
    """Replays captured cycles. Graphs are kept until the cache moves or a batch does not fit its layout."""

    def __init__(
        self, network: Llama, arena: KeyValueArena, attention: DeviceAttention, capture: Capture | None = None
    ) -> None:
        self.network, self.arena, self.attention = network, arena, attention
        self.capture = capture or GraphCapture()
        self._state: DeviceState | None = None

    @property
    def name(self) -> str:
        return self.attention.name + getattr(self.capture, "name", "")

    def run(
        self,
        plan: BatchPlan,
        prompts: Sequence[Ids],
        choices: Sequence[Choice],
        report: Report,
        noise: RowNoise | None = None,
    ) -> tuple[Tensor, Tensor]:
        alive, rows = plan.alive(), plan.rows
        state = self.laid_out(rows, plan.positions, choices, exact=plan.fixed is not None)
        cycles = [graph_rows(alive[step], state.rows) for step in range(1, plan.steps, len(choices))]
        replays = {size: self.replay(state, size) for size in sorted(set(cycles), reverse=True)}
        # only now: capturing writes into cache and state
        store = self.arena.view(state.rows, state.slots, position_major=self.attention.position_major)
        h = prefill_batch(self.network, plan, prompts, store, [0] * rows, report)
        state.begin(plan.prompts, plan.news)
        state.record_first(h, noise)
        told, waiting = 0, None
        for done, size in enumerate(cycles):
            if noise is not None:
                state.draw(noise, min(size, rows))
            replays[size]()
            step = min(plan.steps, 1 + (done + 1) * len(choices))
            if step - told >= REPORT_EVERY and step < plan.steps:
                # the host may run ahead by one report, so that the device never waits for the host
                waiting = _wait(state.last, waiting)
                report(step)
                told = step
        return state.written[: plan.steps, :rows].clone(), state.health[:rows].clone()

    def prepare(self, rows: int, positions: int, choices: Sequence[Choice], *, one: bool = False) -> None:
        """Lay out the cache for such batches and capture every number of rows, or with `one` only `rows`."""
        state = self.laid_out(rows, positions, choices, exact=one)
        sizes = {rows} if one else {graph_rows(n, state.rows) for n in range(1, state.rows + 1)}
        for size in sorted(sizes, reverse=True):
            self.replay(state, size)

    def release(self) -> None:
        """Drop all graphs and the cache they use."""
        if self._state is not None:
            self._state.replays.clear()  # without graphs they are functions that refer to the state
        self._state = None

    def laid_out(self, rows: int, positions: int, choices: Sequence[Choice], *, exact: bool) -> DeviceState:
        """The present layout if the batch fits it, else a new one for this and all earlier batches."""
        slots = -(-positions // SLOT_STEP) * SLOT_STEP
        # no local variable holds the old state: its memory must be free before the new one is allocated
        if self._state is not None and self._state.choices == tuple(choices):
            most, longest = self._state.rows, self._state.slots
            fits = rows == most if exact else rows <= most
            if fits and slots <= longest:
                return self._state
            if not exact:
                with suppress(torch.OutOfMemoryError, MemoryError):
                    return self._lay_out(max(rows, most), max(slots, longest), choices)
        return self._lay_out(rows, slots, choices)

    def _lay_out(self, rows: int, slots: int, choices: Sequence[Choice]) -> DeviceState:
        self.release()
        store = self.arena.view(rows, slots, position_major=self.attention.position_major)
        self._state = DeviceState(self.network, store, choices)
        return self._state

    def replay(self, state: DeviceState, rows: int) -> Replay:
        """The graph of one cycle for the first `rows` rows, captured if it is not there yet."""
        if rows not in state.replays:
            state.begin([0] * rows, [1] * rows)
            try:
                state.replays[rows] = self.capture(lambda: self._cycle(state, rows))
            except torch.OutOfMemoryError:
                self.release()
                raise
            except Exception as error:  # drivers and compilers fail in many ways
                self.release()
                raise BackendUnavailableError(f"{type(error).__name__}: {error}".splitlines()[0]) from error
        return state.replays[rows]

    def _cycle(self, state: DeviceState, rows: int) -> None:
        """Tokens n = 1 .. R after a token of choice 0, for the first `rows` rows; sets no host value."""
        attend = self.attention.bind(state.store, state.positions[:rows])
        for n in range(1, len(state.choices) + 1):
            x = state.choices[n - 1].embed(state.last[:rows])
            h = self.network.step(x, attend.begin(), attend, self.attention.pointwise)
            state.record(h, n % len(state.choices), rows)


def _wait(tensor: Tensor, event: torch.cuda.Event | None) -> torch.cuda.Event | None:
    """Wait for `event` of an earlier call, and record a new event after the work queued so far."""
    if not tensor.is_cuda:
        return None
    mark = torch.cuda.Event()  # type: ignore[no-untyped-call]
    mark.record(torch.cuda.current_stream(tensor.device))
    if event is not None:
        event.synchronize()
    return mark
