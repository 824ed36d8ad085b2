"""The same function for many numbers, in this process or in several, with the results in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from dacse_cli.errors import InputError

AHEAD = 4
"""Numbers a process that are handed out at once: one slow one does not keep the others waiting."""
Fixed = TypeVar("Fixed")
Result = TypeVar("Result")
_job: tuple[Callable[[Any, int], Any], Any]


def in_order(
    work: Callable[[Fixed, int], Result], fixed: Fixed, numbers: Sequence[int], jobs: int
) -> Iterator[Result]:
    """`work(fixed, n)` for all `numbers`, in their order. `work` and `fixed` must go through pickle.

    Raises what `work` raises, and `InputError` with reason `worker-died`.
    """
    jobs = min(jobs, len(numbers))
    if jobs <= 1:
        for number in numbers:
            yield work(fixed, number)
        return
    # spawned, not forked: the caller may have threads
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_start, initargs=(work, fixed))
    waiting: deque[Future[Result]] = deque()
    try:
        for number in numbers:
            waiting.append(pool.submit(_one, number))
            if len(waiting) >= AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise InputError(
            "a working process died",
            reason="worker-died",
            hint="It may have run out of memory: try --jobs 1.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start(work: Callable[[Any, int], Any], fixed: Any) -> None:
    """In a new process: keep what does not change, and end with the parent, however that ends."""
    global _job
    _job = work, fixed
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and tells
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _one(number: int) -> Any:
    work, fixed = _job
    return work(fixed, number)
