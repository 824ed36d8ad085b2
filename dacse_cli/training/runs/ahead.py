"""Results by number, computed before they are needed, in this process or in several. Imports no torch.

`in_order` is for work that is done once (a data set, a cache); `Ahead` feeds a training: it computes the next
batches while the device is busy with the current one.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Generic, TypeVar

from dacse_cli.errors import InputError

HANDED_OUT = 4
"""Numbers per process that are queued at once, so that one slow number does not block the others."""
READY = 2
"""Finished batches that `Ahead` keeps."""
Fixed = TypeVar("Fixed")
Result = TypeVar("Result")
_job: tuple[Callable[[Any, int], Any], Any]


def in_order(
    work: Callable[[Fixed, int], Result],
    fixed: Fixed,
    numbers: Sequence[int],
    jobs: int,
    handed_out: int = HANDED_OUT,
) -> Iterator[Result]:
    """`work(fixed, n)` for all `numbers`, in their order. `work` and `fixed` must be picklable.

    With `jobs` up to 1 the work is done in this process. Raises what `work` raises, and `InputError` with
    reason `worker-died`.
    """
    jobs = min(jobs, len(numbers))
    if jobs <= 1:
        for number in numbers:
            yield work(fixed, number)
        return
    # spawned, not forked, because the caller may have threads
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_start, initargs=(work, fixed))
    waiting: deque[Future[Result]] = deque()
    try:
        for number in numbers:
            waiting.append(pool.submit(_one, number))
            if len(waiting) >= handed_out * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise InputError(
            "a working process died",
            reason="worker-died",
            hint="It may have run out of memory: try fewer `jobs`.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class Ahead(Generic[Result]):
    """`work(fixed, n)` for numbers in steps of `stride`, computed before they are requested.

    `jobs` 0 computes in the caller's thread on request, 1 in a separate thread, more in that many processes
    (`work` and `fixed` must then be picklable). Requesting a number out of order restarts from there. A
    context manager; `close` ends threads and processes.
    """

    def __init__(
        self, work: Callable[[Fixed, int], Result], fixed: Fixed, *, jobs: int = 1, stride: int = 1
    ) -> None:
        self._work: Callable[[Any, int], Result] = work
        self._fixed, self._jobs, self._stride = fixed, jobs, stride
        self._next = -1
        self._feed: _Feed[Result] | None = None
        self.waited = 0.0
        """Seconds spent in `get` so far: the time the device waited for data."""

    def __enter__(self) -> Ahead[Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, number: int) -> Result:
        """`work(fixed, number)`. Raises what it raises."""
        began = time.monotonic()
        try:
            if self._jobs == 0:
                return self._work(self._fixed, number)
            if self._feed is None or number != self._next:
                self.close()
                numbers = _Numbers(number, self._stride)
                self._feed = _Feed(self._work, self._fixed, numbers, self._jobs)
            self._next = number + self._stride
            return self._feed.take()
        finally:
            self.waited += time.monotonic() - began

    def close(self) -> None:
        """End the thread or processes; `get` may be called again."""
        if self._feed is not None:
            self._feed.stop()
            self._feed = None


class _Feed(Generic[Result]):
    """A thread that keeps up to `READY` results in a queue."""

    def __init__(
        self, work: Callable[[Any, int], Result], fixed: Any, numbers: Sequence[int], jobs: int
    ) -> None:
        self._queue: queue.Queue[tuple[Result | None, BaseException | None]] = queue.Queue(READY)
        self._stopped = threading.Event()
        self._results = in_order(work, fixed, numbers, jobs, handed_out=2)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def take(self) -> Result:
        """The next result; raises what its work has raised."""
        result, error = self._queue.get()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # only an error comes without one

    def stop(self) -> None:
        """End the thread and its processes."""
        self._stopped.set()
        while self._thread.is_alive():
            try:  # make room for the thread that waits to put its result
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue

    def _run(self) -> None:
        try:
            for result in self._results:
                self._queue.put((result, None))
                if self._stopped.is_set():
                    return
        except BaseException as error:
            self._queue.put((None, error))
        finally:
            self._results.close()  # type: ignore[attr-defined]  # a generator


class _Numbers(Sequence[int]):
    """`first`, `first + stride`, ...; practically without end."""

    def __init__(self, first: int, stride: int) -> None:
        self._first, self._stride = first, stride

    def __len__(self) -> int:
        return 2**40

    def __getitem__(self, index: int) -> int:  # type: ignore[override]  # no slices
        return self._first + index * self._stride


def _start(work: Callable[[Any, int], Any], fixed: Any) -> None:
    """Initialise a new process: store the constant data, and exit when the parent ends for any reason."""
    global _job
    _job = work, fixed
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent also receives the signal and ends its workers
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _one(number: int) -> Any:
    work, fixed = _job
    return work(fixed, number)
