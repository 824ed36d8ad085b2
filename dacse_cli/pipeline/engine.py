"""The loop that keeps the language model busy: chunks of all open tasks, batch after batch.

Knows chunks and answers, not files or processes. Tasks are opened only as fast as batches need them, so
memory does not grow with the number or length of inputs.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import DacseError, DeviceError, InputError, LockedError, OutputError, UsageError
from dacse_cli.pipeline.batching import halves, pick_batch, pick_kind
from dacse_cli.pipeline.task import Chain, Chunk, Finished, Task

Key = TypeVar("Key")
PROGRESS_SECONDS = 0.25
_REASONS = {OutputError: "output", LockedError: "locked", UsageError: "options"}
"""What is not the model's fault among errors other than `InputError`."""


@dataclass(frozen=True)
class Failure:
    """Why one task did not finish. `trace` is set for errors nobody foresaw."""

    reason: str
    message: str
    hint: str | None = None
    exit_code: int = 3
    trace: str | None = None


@dataclass(eq=False)
class _Open(Generic[Key]):
    """A task under way."""

    key: Key
    task: Task
    chunks: Iterator[Chunk | None]
    waiting: int = 0
    exhausted: bool = False


@dataclass
class Engine(Generic[Key]):
    """Runs tasks through `chain`. `next_task(block)` gives the next (key, task) or None.

    With `block` true, None means that no task will ever come again; otherwise that none is there yet.
    """

    chain: Chain
    batch_size: int
    next_task: Callable[[bool], tuple[Key, Callable[[], Task]] | None]
    on_finished: Callable[[Key, Finished], None]
    on_failed: Callable[[Key, Failure], None]
    on_progress: Callable[[float], None] = lambda seconds: None
    """Called with the seconds of audio generated so far, chunks in flight counted in part."""
    _open: list[_Open[Key]] = field(default_factory=list)
    _pool: list[tuple[_Open[Key], Chunk]] = field(default_factory=list)
    _seconds: float = 0.0
    _told: float = 0.0

    def run(self) -> None:
        """Until there are no more tasks."""
        try:
            while self._fill():
                picked = self._pick()
                batch = [self._pool[i] for i in picked]
                self._pool = [item for i, item in enumerate(self._pool) if i not in set(picked)]
                self._generate(batch)
        except BaseException:
            for opened in self._open:
                opened.task.abandon()
            raise

    def _pick(self) -> list[int]:
        """The places in the pool of the next batch; second tries are batches of their own."""
        tries = [chunk.draw is not None for _, chunk in self._pool]
        kind = pick_kind(tries, self.batch_size)
        places = [i for i, drawn in enumerate(tries) if drawn == kind]
        lengths = [self._pool[i][1].codes.shape[1] for i in places]
        return [places[i] for i in pick_batch(lengths, self.batch_size)]

    def _fill(self) -> bool:
        """Bring the pool to two batches if there is enough work; False when all is done."""
        while len(self._pool) < 2 * self.batch_size:
            opened = next((o for o in self._open if not o.exhausted), None) or self._open_next(
                block=not self._pool
            )
            if opened is None:
                return bool(self._pool)
            self._advance(opened)
        return True

    def _open_next(self, block: bool) -> _Open[Key] | None:
        while (entry := self.next_task(block)) is not None:
            key, make = entry
            try:
                task = make()
            except Exception as error:
                self.on_failed(key, failure_of(error))
                continue
            opened = _Open(key, task, iter(task.chunks()))
            self._open.append(opened)
            return opened
        return None

    def _advance(self, opened: _Open[Key]) -> None:
        try:
            chunk = next(opened.chunks, opened)
        except Exception as error:
            self._fail(opened, error)
            return
        if isinstance(chunk, Chunk):
            opened.waiting += 1
            self._pool.append((opened, chunk))
        elif chunk is opened:
            opened.exhausted = True
            self._finish_if_complete(opened)
        else:
            self._tell(self._seconds)  # reading and encoding are work too: a sign of life

    def _finish_if_complete(self, opened: _Open[Key]) -> None:
        if not opened.exhausted or opened.waiting:
            return
        try:
            finished = opened.task.finish()
        except Exception as error:
            self._fail(opened, error)
            return
        self._open.remove(opened)
        self.on_finished(opened.key, finished)

    def _fail(self, opened: _Open[Key], error: Exception) -> None:
        """Drop one task and its waiting chunks; the others go on."""
        if opened not in self._open:  # another of its chunks has failed before
            return
        self._open.remove(opened)
        self._pool = [item for item in self._pool if item[0] is not opened]
        opened.task.abandon()
        self.on_failed(opened.key, failure_of(error))

    def _generate(self, batch: list[tuple[_Open[Key], Chunk]]) -> None:
        """Answers for a batch; one that fails is halved until the chunk at fault stands alone."""
        try:
            answers = self._answers([chunk for _, chunk in batch])
        except Exception as error:
            if is_out_of_memory(error):
                self.batch_size = (len(batch) + 1) // 2
            if len(batch) == 1 or is_device_lost(error):
                self._fail(batch[0][0], error)
                return
        else:
            self._deliver_all(batch, answers)
            return
        # out of the handler: the error's traceback holds the tensors of the batch that did not fit
        for half in halves(batch):
            still_open = [item for item in half if item[0] in self._open]
            if still_open:
                self._generate(still_open)

    def _deliver_all(self, batch: list[tuple[_Open[Key], Chunk]], answers: list[NDArray[np.int16]]) -> None:
        for (opened, chunk), codes in zip(batch, answers, strict=True):
            self._seconds += chunk.seconds
            if opened in self._open:
                self._deliver(opened, chunk, codes)
        self._tell(self._seconds, force=True)

    def _answers(self, chunks: list[Chunk]) -> list[NDArray[np.int16]]:
        assert self.chain.lm is not None
        layout = self.chain.layout
        lengths = [chunk.codes.size for chunk in chunks]
        seconds = sum(chunk.seconds for chunk in chunks)
        draws = [chunk.draw for chunk in chunks if chunk.draw is not None]  # of all or of none: see _pick
        ids = self.chain.lm.generate(
            [layout.prompt(chunk.codes) for chunk in chunks],
            lengths,
            layout.ranges,
            on_step=lambda step: self._tell(self._seconds + seconds * step / max(lengths)),
            draws=draws or None,
        )
        return [layout.unflatten(row) for row in ids]

    def _deliver(self, opened: _Open[Key], chunk: Chunk, codes: NDArray[np.int16]) -> None:
        try:
            again = opened.task.deliver(chunk, codes)
        except Exception as error:
            self._fail(opened, error)
            return
        if again is not None:
            self._pool.append((opened, again))
            return
        opened.waiting -= 1
        self._finish_if_complete(opened)

    def _tell(self, seconds: float, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self.on_progress(seconds)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    says = str(error)  # the CPU's allocator and Apple's devices have no class for it
    return isinstance(error, RuntimeError) and ("can't allocate memory" in says or "out of memory" in says)


def is_device_lost(error: BaseException) -> bool:
    """Whether the device will refuse all that follows in this process, as after a failed assert on it."""
    import torch

    return isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)


def failure_of(error: Exception) -> Failure:
    """An exception as facts for the report; what nobody foresaw keeps its traceback.

    Raises `DeviceError` where it is not this input that failed but the device under all of them.
    """
    if is_device_lost(error):
        raise DeviceError(f"the device failed: {str(error).splitlines()[0]}") from error
    if isinstance(error, InputError):
        return Failure(error.reason, error.message, error.hint)
    if isinstance(error, DacseError):
        return Failure(_REASONS.get(type(error), "model"), error.message, error.hint, error.exit_code)
    if is_out_of_memory(error):
        return Failure("out-of-memory", "memory ran out with a single chunk", "Try a shorter --chunk.")
    trace = "".join(traceback.format_exception(error))
    return Failure("internal", f"{type(error).__name__}: {error}", trace=trace)
