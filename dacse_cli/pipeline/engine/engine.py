"""The loop that keeps the translator busy: chunks of all open tasks, batch after batch.

Handles chunks and outputs, not files or processes. Tasks are opened only as fast as batches need them, so
memory does not grow with the number or length of inputs. While a batch is translated in another thread, the
outputs of the previous batch are decoded and written, and chunks for the next are read and encoded. The codec
has batches too: on a GPU, windows of several tasks are computed together; on a CPU it computes one row at a
time, and nothing waits for another task.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dacse_cli.errors import DeviceError
from dacse_cli.interfaces import Units
from dacse_cli.pipeline.engine.batching import pick_batch, pick_retries
from dacse_cli.pipeline.engine.generate import Generator, Output
from dacse_cli.pipeline.task.codec_work import Asking, CodecWork, Results, computed, send
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.task import Chunk, Steps, Task
from dacse_cli.pipeline.wire.failures import is_device_lost
from dacse_cli.pipeline.wire.outcome import Finished

Key = TypeVar("Key")


@dataclass(eq=False)
class _Open(Generic[Key]):
    """A task that has been opened and is not finished."""

    key: Key
    task: Task
    steps: Steps
    asks: CodecWork | None = None
    """It cannot go on reading before this is done."""
    results: Results | None = None
    waiting: int = 0
    exhausted: bool = False


@dataclass(eq=False)
class _Delivery(Generic[Key]):
    """An output on its way into its task."""

    to: _Open[Key]
    steps: Asking[Chunk | None]
    asks: CodecWork | None = None
    results: Results | None = None


_Item = tuple[_Open[Key], Chunk]
_Filling = collections.abc.Generator[None, None, bool]


@dataclass
class Engine(Generic[Key]):
    """Runs tasks through the models. `next_task(block)` gives the next (key, opener), or None.

    With `block`, None means that there are no more tasks; otherwise, that none is available yet. Raises
    `DeviceError` where the device fails for all tasks.
    """

    models: Models
    batch_size: int
    next_task: Callable[[bool], tuple[Key, Callable[[], Task]] | None]
    on_finished: Callable[[Key, Finished], None]
    on_failed: Callable[[Key, Exception], None]
    on_progress: Callable[[float], None] = lambda seconds: None
    """Called with the seconds of audio done so far; chunks being translated count in part."""
    beside: bool = False
    """Translate in another thread: for a GPU, or for a model that leaves CPU cores free."""
    _open: list[_Open[Key]] = field(default_factory=list)
    _pool: list[_Item[Key]] = field(default_factory=list)
    _advanced: Callable[[float], None] = lambda seconds: None

    def run(self) -> None:
        """Run until there are no more tasks."""
        for _ in self.steps():
            pass

    def steps(self) -> Iterator[None]:
        """Yield after each step of work until no tasks are left; closed earlier, abandons open tasks."""
        try:
            with Generator(
                self.models.translator, self.batch_size, self.on_progress, beside=self.beside
            ) as generator:
                yield from self._run(generator)
        except BaseException:
            for opened in self._open:
                opened.task.abandon()
            raise

    def _run(self, generator: Generator) -> Iterator[None]:
        self._advanced = generator.advance
        written: tuple[list[_Item[Key]], list[Output]] = ([], [])  # the previous batch, not yet written
        while True:
            self.batch_size = generator.batch_size
            batch = self._take() if (yield from self._fill(block=not written[0])) else []
            under_way = generator.start([chunk for _, chunk in batch]) if batch else None
            self._deliver_all(*written)
            if under_way is None:
                if not written[0]:
                    return
                written = ([], [])
                continue
            if self.beside:
                yield from self._fill(block=False)
            written = (batch, under_way.result())
            if not self.beside:
                self._deliver_all(*written)
                written = ([], [])
            yield

    def _take(self) -> list[_Item[Key]]:
        """Take the next batch from the pool; retries are batched separately."""
        retries = [chunk.draw is not None for _, chunk in self._pool]
        kind = pick_retries(retries, self.batch_size)
        places = [i for i, retry in enumerate(retries) if retry == kind]
        lengths = [self._pool[i][1].units.shape[-1] for i in places]
        picked = [places[i] for i in pick_batch(lengths, self.batch_size)]
        batch = [self._pool[i] for i in picked]
        self._pool = [item for i, item in enumerate(self._pool) if i not in set(picked)]
        return batch

    def _fill(self, *, block: bool) -> _Filling:
        """Fill the pool to two batches if there is enough work; False when there is none.

        With `block`, an empty pool waits for the next task.
        """
        while len(self._pool) < 2 * self.batch_size:
            if not self._read(block=block and not self._pool):
                return bool(self._pool)
            yield
        return True

    def _read(self, *, block: bool) -> bool:
        """Advance one task, or run the codec for those that ask for it; False if there is none of either.

        The first task reads on until its windows fill a batch of the codec; if it has fewer, others join.
        """
        asking = [(o, o.asks) for o in self._open if o.asks is not None]
        if not self._is_full([work for _, work in asking]):
            opened = next((o for o in self._open if not o.exhausted and o.asks is None), None)
            opened = opened or self._open_next(block=block and not asking)
            if opened is not None:
                self._advance(opened)
                return True
        self._compute([opened for opened, _ in asking])
        return bool(asking)

    def _is_full(self, works: Sequence[CodecWork]) -> bool:
        rows = sum(work.rows for work in works)
        return self.models.codec is not None and rows >= self.models.codec.rows

    def _compute(self, asking: Sequence[_Open[Key] | _Delivery[Key]]) -> None:
        """Run the codec for all that ask; a task whose windows cannot be computed fails."""
        works = [one.asks for one in asking if one.asks is not None]
        if not works:
            return
        for one, found in zip(asking, computed(self.models.need_codec, works), strict=True):
            one.asks = None
            if isinstance(found, Exception):
                self._fail(one if isinstance(one, _Open) else one.to, found)
            else:
                one.results = found

    def _open_next(self, block: bool) -> _Open[Key] | None:
        while (entry := self.next_task(block)) is not None:
            key, make = entry
            try:
                task = make()
            except Exception as error:
                self.on_failed(key, _checked(error))
                continue
            opened = _Open(key, task, task.chunks())
            self._open.append(opened)
            return opened
        return None

    def _advance(self, opened: _Open[Key]) -> None:
        results, opened.results = opened.results, None
        try:
            step = send(opened.steps, results)
        except Exception as error:
            self._fail(opened, error)
            return
        if isinstance(step, Chunk):
            opened.waiting += 1
            self._pool.append((opened, step))
        elif isinstance(step, CodecWork):
            opened.asks = step
        elif step is None:
            opened.exhausted = True
            self._finish_if_complete(opened)
        else:
            self._advanced(step)

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
        if opened not in self._open:  # another chunk of this task has already failed
            return
        error = _checked(error)
        self._open.remove(opened)
        self._pool = [item for item in self._pool if item[0] is not opened]
        opened.task.abandon()
        self.on_failed(opened.key, error)

    def _deliver_all(self, batch: Sequence[_Item[Key]], outputs: Sequence[Output]) -> None:
        ready: list[_Delivery[Key]] = []
        for (opened, chunk), output in zip(batch, outputs, strict=True):
            if opened not in self._open:
                continue
            if isinstance(output, Exception):
                self._fail(opened, output)
            elif output is not None:
                self._start(ready, opened, chunk, output)
            if self._is_full([one.asks for one in ready if one.asks is not None]):
                self._deliver(ready)
                ready = []
        self._deliver(ready)

    def _start(self, ready: list[_Delivery[Key]], opened: _Open[Key], chunk: Chunk, units: Units) -> None:
        """Hand an output to its task; joins `ready` if the task needs the codec for it."""
        try:
            delivery = _Delivery(opened, opened.task.deliver(chunk, units))
        except Exception as error:
            self._fail(opened, error)
            return
        self._resume(delivery)
        if delivery.asks is not None:
            ready.append(delivery)

    def _deliver(self, deliveries: Sequence[_Delivery[Key]]) -> None:
        """Run the codec for all of them, in turns, until their tasks have what they need."""
        while deliveries := [one for one in deliveries if one.asks is not None and one.to in self._open]:
            self._compute(deliveries)
            for one in deliveries:
                if one.to in self._open:
                    self._resume(one)

    def _resume(self, delivery: _Delivery[Key]) -> None:
        opened, results = delivery.to, delivery.results
        delivery.results = None
        try:
            # the first `send` of a generator takes None
            delivery.asks = delivery.steps.send(results)  # type: ignore[arg-type]
            return
        except StopIteration as ended:
            again: Chunk | None = ended.value
        except Exception as error:
            self._fail(opened, error)
            return
        if again is not None:
            self._pool.append((opened, again))
            return
        opened.waiting -= 1
        self._finish_if_complete(opened)


def _checked(error: Exception) -> Exception:
    """Return `error`; raises `DeviceError` if the device has failed for all tasks."""
    if isinstance(error, DeviceError):
        raise error
    if is_device_lost(error):
        raise DeviceError(f"the device failed: {str(error).splitlines()[0]}") from error
    return error
