"""A task that reuses the chunks an earlier run generated for its input instead of translating them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dacse_cli import __version__
from dacse_cli.interfaces import Units
from dacse_cli.pipeline.engine.chunk_cache import ChunkCache
from dacse_cli.pipeline.record.chunk_cache import binding
from dacse_cli.pipeline.task.codec_work import Asking, CodecWork, Results, send
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.task import Chunk, Steps, Task
from dacse_cli.pipeline.wire.messages import Keep
from dacse_cli.pipeline.wire.outcome import Finished


class Resuming:
    """A `Task` that wraps another. `on_recalled` gets the seconds of audio of each cached chunk."""

    def __init__(
        self,
        task: Task,
        cache: ChunkCache,
        on_recalled: Callable[[float], None],
        *,
        lasting: bool = False,
    ) -> None:
        self._task, self._cache, self._on_recalled, self._lasting = task, cache, on_recalled, lasting
        self._seconds = 0.0
        self._asked = 0

    def chunks(self) -> Steps:
        steps = self._task.chunks()
        results: Results | None = None
        while (step := send(steps, results)) is not None:
            results = None
            if isinstance(step, CodecWork):
                results = yield step
            elif isinstance(step, Chunk):
                self._asked += 1
                yield (yield from self._recalled(step)) or 0.0
            else:
                yield step

    def _recalled(self, chunk: Chunk) -> Asking[Chunk | None]:
        """None if its output and those of its retries were cached; else the chunk still to translate."""
        again: Chunk | None = chunk
        while again is not None and (units := self._cache.recall(again)) is not None:
            self._seconds += again.seconds
            self._on_recalled(again.seconds)
            again = yield from self._task.deliver(again, units)
        return again

    def deliver(self, chunk: Chunk, units: Units) -> Asking[Chunk | None]:
        if self._lasting or self._asked > 1:  # a single chunk is written immediately
            self._cache.keep(chunk, units)
        return (yield from self._task.deliver(chunk, units))

    def finish(self) -> Finished:
        finished = self._task.finish()
        self._cache.close()
        return replace(finished, resumed=self._seconds)

    def abandon(self) -> None:
        self._cache.close()
        self._task.abandon()


def resuming(task: Task, keep: Keep | None, models: Models, on_recalled: Callable[[float], None]) -> Task:
    """`task` with its chunks stored as `keep` says; `task` itself where nothing is to be stored.

    Chunks depend on input, settings and models' hashes, which the supervisor supplies, and on two things
    added here: how the translator runs in this process, and the version of dacse.
    """
    if keep is None or models.translator is None:
        return task
    device = models.translator.device
    runs = models.translator.describe().replace(device, device.split(":")[0])
    bound_to = {**binding(keep), "runs": runs, "dacse": __version__}
    return Resuming(task, ChunkCache(keep.path, bound_to), on_recalled, lasting=keep.lasting)
