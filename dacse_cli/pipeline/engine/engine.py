"""The loop that keeps the language model busy: chunks of all open tasks, batch after batch.

Knows chunks and answers, not files or processes. Tasks are opened only as fast as batches need them, so
memory does not grow with the number or length of inputs. While a batch is generated beside this thread, the
answers of the one before are decoded and written, and chunks for the next are read and encoded.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from dacse_cli.pipeline.engine.batching import pick_batch, pick_kind
from dacse_cli.pipeline.engine.generate import Answer, Generator
from dacse_cli.pipeline.task.task import Chain, Chunk, Finished, Task
from dacse_cli.pipeline.wire.failures import Failure, failure_of

Key = TypeVar("Key")


@dataclass(eq=False)
class _Open(Generic[Key]):
    """A task under way."""

    key: Key
    task: Task
    chunks: Iterator[Chunk | None]
    waiting: int = 0
    exhausted: bool = False


_Item = tuple[_Open[Key], Chunk]
_Answered = tuple[list[_Item[Key]], list[Answer]]


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
    beside: bool = False
    """Generate in another thread: for a device of its own, or a model that leaves cores free."""
    _open: list[_Open[Key]] = field(default_factory=list)
    _pool: list[_Item[Key]] = field(default_factory=list)
    _sign_of_life: Callable[[], None] = lambda: None

    def run(self) -> None:
        """Until there are no more tasks."""
        for _ in self.steps():
            pass

    def steps(self) -> collections.abc.Generator[None, None, None]:
        """A batch at a time until there are no more tasks; closed before that, it abandons the open ones."""
        try:
            with Generator(self.chain, self.batch_size, self.on_progress, beside=self.beside) as generator:
                yield from self._run(generator)
        except BaseException:
            for opened in self._open:
                opened.task.abandon()
            raise

    def _run(self, generator: Generator) -> Iterator[None]:
        self._sign_of_life = generator.sign_of_life
        written: _Answered[Key] = ([], [])  # the batch before: generated, still to be written
        while True:
            self.batch_size = generator.batch_size
            batch = self._take() if self._fill(block=not written[0]) else []
            under_way = generator.start([chunk for _, chunk in batch]) if batch else None
            self._deliver_all(*written)
            if under_way is None:
                if not written[0]:
                    return
                written = ([], [])
                continue
            if self.beside:
                self._fill(block=False)
            written = (batch, under_way.result())
            if not self.beside:
                self._deliver_all(*written)
                written = ([], [])
            yield

    def _take(self) -> list[_Item[Key]]:
        """The next batch, out of the pool; second tries are batches of their own."""
        tries = [chunk.draw is not None for _, chunk in self._pool]
        kind = pick_kind(tries, self.batch_size)
        places = [i for i, drawn in enumerate(tries) if drawn == kind]
        lengths = [self._pool[i][1].codes.shape[1] for i in places]
        picked = [places[i] for i in pick_batch(lengths, self.batch_size)]
        batch = [self._pool[i] for i in picked]
        self._pool = [item for i, item in enumerate(self._pool) if i not in set(picked)]
        return batch

    def _fill(self, *, block: bool) -> bool:
        """Bring the pool to two batches if there is enough work; False when there is none.

        With `block`, an empty pool waits for the next task.
        """
        while len(self._pool) < 2 * self.batch_size:
            opened = next((o for o in self._open if not o.exhausted), None) or self._open_next(
                block=block and not self._pool
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
            self._fail(opened, failure_of(error))
            return
        if isinstance(chunk, Chunk):
            opened.waiting += 1
            self._pool.append((opened, chunk))
        elif chunk is opened:
            opened.exhausted = True
            self._finish_if_complete(opened)
        else:
            self._sign_of_life()  # reading and encoding are work too

    def _finish_if_complete(self, opened: _Open[Key]) -> None:
        if not opened.exhausted or opened.waiting:
            return
        try:
            finished = opened.task.finish()
        except Exception as error:
            self._fail(opened, failure_of(error))
            return
        self._open.remove(opened)
        self.on_finished(opened.key, finished)

    def _fail(self, opened: _Open[Key], failure: Failure) -> None:
        """Drop one task and its waiting chunks; the others go on."""
        if opened not in self._open:  # another of its chunks has failed before
            return
        self._open.remove(opened)
        self._pool = [item for item in self._pool if item[0] is not opened]
        opened.task.abandon()
        self.on_failed(opened.key, failure)

    def _deliver_all(self, batch: Sequence[_Item[Key]], answers: Sequence[Answer]) -> None:
        for (opened, chunk), answer in zip(batch, answers, strict=True):
            if opened not in self._open:
                continue
            if isinstance(answer, Failure):
                self._fail(opened, answer)
            elif answer is not None:
                self._deliver(opened, chunk, answer)

    def _deliver(self, opened: _Open[Key], chunk: Chunk, codes: NDArray[np.int16]) -> None:
        try:
            again = opened.task.deliver(chunk, codes)
        except Exception as error:
            self._fail(opened, failure_of(error))
            return
        if again is not None:
            self._pool.append((opened, again))
            return
        opened.waiting -= 1
        self._finish_if_complete(opened)
