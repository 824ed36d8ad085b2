"""CUDA rung: decode steps captured as CUDA graphs, with every length and position on the device.

One graph is a whole cycle of choices (9 tokens for 9 codebooks), so that a token costs a ninth of a launch.
Attention is `torch.nn.attention.varlen.varlen_attn`, which reads the number of valid keys of each row from
device memory (`seqused_k`): the captured graph serves all lengths, and unused slots are not read. Rows start
at slot 0 and may differ in length; no mask exists.

Not measured on a GPU yet. Everything but the kernel and the capture is tested on the CPU by putting plain
functions in their places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dacse_cli.lm.arena import Cache, KeyValueArena
from dacse_cli.lm.attention import split_heads
from dacse_cli.lm.greedy import REPORT_EVERY, Choice, Ids, Report, prefill_batch
from dacse_cli.lm.model import Llama
from dacse_cli.lm.rows import BatchPlan

POSITION_STEP = 256
"""Cache lengths are rounded up to a multiple: graphs hold addresses, so every layout needs its own."""
Replay = Callable[[], None]
Attend = Callable[..., Any]  # varlen_attn or its equal; without `return_aux` it gives a tensor


class RungUnavailableError(Exception):
    """The rung cannot run here after all; the next one shall."""


def find_kernel(network: Llama) -> Attend | None:
    """`varlen_attn`, if this device, dtype and torch have what the rung needs."""
    if network.device.type != "cuda" or network.dtype is torch.float32 or network.shape.head_dim > 256:
        return None
    if torch.cuda.get_device_capability(network.device) < (8, 0):
        return None
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    needed = {"seqused_k", "num_splits"}
    return varlen_attn if needed <= (varlen_attn.__kwdefaults__ or {}).keys() else None


def capture_graph(body: Callable[[], None]) -> Replay:
    """Run `body` twice to load its kernels, then record it. It must not wait for the device."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        body()
        body()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # other threads may use the device meanwhile: the codec runs in one
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        body()
    return graph.replay


def row_bucket(rows: int, most: int) -> int:
    """The captured batch size that serves `rows`: a power of two up to 8, then a multiple of 8."""
    size = 1 << (rows - 1).bit_length() if rows <= 8 else -(-rows // 8) * 8
    return min(size, most)


class GraphDecoder:
    """Replays captured cycles; graphs live until the arena moves or a batch has another layout."""

    name = "CUDA graphs over varlen_attn"

    def __init__(
        self,
        network: Llama,
        arena: KeyValueArena,
        attend: Attend,
        capture: Callable[[Callable[[], None]], Replay] = capture_graph,
    ) -> None:
        self.network, self.arena, self.attend, self.capture = network, arena, attend, capture
        self._state: _State | None = None

    def run(
        self, plan: BatchPlan, prompts: Sequence[Ids], choices: Sequence[Choice], report: Report
    ) -> tuple[Tensor, Tensor]:
        alive = plan.alive()
        cycles = [row_bucket(alive[step], plan.rows) for step in range(1, plan.steps, len(choices))]
        try:
            state = self._prepare(plan, choices)
            replays = {rows: self._replay(state, rows, choices) for rows in sorted(set(cycles), reverse=True)}
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.release()
            raise RungUnavailableError(str(error)) from error
        # only now: capturing writes into cache and state
        x = prefill_batch(self.network, plan, prompts, state.store, [0] * plan.rows, report)
        state.begin(plan.prompts)
        choices[0].pick(self.network.normed(x), state.last)
        state.written[0] = state.last
        told = 0
        for done, rows in enumerate(cycles):
            replays[rows]()
            step = min(plan.steps, 1 + (done + 1) * len(choices))
            if step - told >= REPORT_EVERY and step < plan.steps:
                if state.last.is_cuda:  # else the host runs far ahead and a report would not mean progress
                    torch.cuda.current_stream(state.last.device).synchronize()
                report(step)
                told = step
        return state.written[: plan.steps].clone(), state.finite & x.isfinite().all()

    def release(self) -> None:
        """Forget all graphs and the cache they point into."""
        self._state = None

    def _prepare(self, plan: BatchPlan, choices: Sequence[Choice]) -> _State:
        positions = -(-plan.positions // POSITION_STEP) * POSITION_STEP
        key = (plan.rows, positions, plan.fixed, tuple(id(choice) for choice in choices))
        if self._state is not None and self._state.key != key:
            self.release()  # before the arena moves: graphs hold on to its memory
        store = self.arena.view(plan.rows, positions, position_major=True)
        if self._state is None or self._state.store.values.data_ptr() != store.values.data_ptr():
            # the longest row, a last cycle beyond its end, and the two cycles of a capture
            steps = self.network.shape.max_positions + 3 * len(choices)
            self._state = _State(self.network, store, steps, key, split=plan.fixed is None)
        return self._state

    def _replay(self, state: _State, rows: int, choices: Sequence[Choice]) -> Replay:
        if rows not in state.replays:
            state.begin([0] * len(state.positions))
            with torch.cuda.device_of(state.last):  # type: ignore[no-untyped-call]
                state.replays[rows] = self.capture(lambda: self._cycle(state, rows, choices))
        return state.replays[rows]

    def _cycle(self, state: _State, rows: int, choices: Sequence[Choice]) -> None:
        """Tokens n = 1 .. R after a token of choice 0, for the first `rows` rows; no host value changes."""
        network, last, positions = self.network, state.last[:rows], state.positions[:rows]
        attend = _DeviceLengths(state, rows, self.attend)
        for n in range(1, len(choices) + 1):
            attend.place(positions)
            turn = network.rotations.index_select(0, positions).unsqueeze(1)
            x = network.step(choices[(n - 1) % len(choices)].embed(last), turn, attend)
            choices[n % len(choices)].pick(network.normed(x), last)
            state.written[:, :rows].index_copy_(0, state.step, last.unsqueeze(0))
            state.step.add_(1)
            # rows that are done keep step: their position stops at the last slot
            positions.add_(1).clamp_(max=state.last_position)
        state.finite.logical_and_(x.isfinite().all())


class _State:
    """What the graphs of one cache layout read and write: fixed addresses."""

    def __init__(self, network: Llama, store: Cache, steps: int, key: object, split: bool) -> None:
        cache = store.values
        rows, positions = cache.shape[2], cache.shape[4]
        device, whole = network.device, torch.int64
        self.key, self.store, self.gqa = key, store, network.shape.heads != network.shape.kv_heads
        self.kv_heads = network.shape.kv_heads
        # how a row's keys are shared out among the processors; one way only, of a fixed shape
        self.splits = None if split else 1
        # [layers, 2, rows * positions, H, D]: the layout varlen_attn reads
        self.flat = cache.transpose(3, 4).flatten(2, 3)
        self.slots_per_row = positions
        self.last_position = min(positions, network.shape.max_positions) - 1
        self.first_slots = torch.arange(rows + 1, device=device) * positions
        self.last = torch.zeros(rows, dtype=whole, device=device)
        self.positions = torch.zeros(rows, dtype=whole, device=device)
        self.step = torch.zeros(1, dtype=whole, device=device)
        self.written = torch.zeros(steps, rows, dtype=whole, device=device)
        self.finite = torch.ones((), dtype=torch.bool, device=device)
        self.replays: dict[int, Replay] = {}

    def begin(self, prompts: Sequence[int]) -> None:
        """Before the first cycle of a batch whose prompts have these lengths."""
        self.positions.copy_(torch.tensor(prompts))
        self.step.fill_(1)
        self.finite.fill_(True)


class _DeviceLengths:
    """`StepAttention` whose positions are device memory."""

    def __init__(self, state: _State, rows: int, attend: Attend) -> None:
        self.flat, self.rows, self.attend, self.gqa = state.flat, rows, attend, state.gqa
        self.kv_heads, self.splits = state.kv_heads, state.splits
        self.longest = state.slots_per_row
        self.first_slots = state.first_slots[:rows]
        self.key_bounds = state.first_slots[: rows + 1].int()
        self.query_bounds = torch.arange(rows + 1, dtype=torch.int32, device=self.flat.device)

    def place(self, positions: Tensor) -> None:
        """The next position of every row, int64 `[rows]`."""
        self.slots = self.first_slots + positions
        self.used = (positions + 1).int()

    def __call__(self, layer: int, heads: Tensor) -> Tensor:
        q, kv = split_heads(heads, self.kv_heads)
        cache = self.flat[layer]
        cache.index_copy_(1, self.slots, kv.transpose(0, 1))
        out: Tensor = self.attend(
            q,
            cache[0],
            cache[1],
            self.query_bounds,
            self.key_bounds,
            1,
            self.longest,
            enable_gqa=self.gqa,
            seqused_k=self.used,
            num_splits=self.splits,
        )
        return out.flatten(1)
