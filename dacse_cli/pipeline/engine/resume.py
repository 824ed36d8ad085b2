"""A task that uses what an earlier run has generated of its input: those chunks are not translated again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from dacse_cli import __version__
from dacse_cli.interfaces import Units
from dacse_cli.pipeline.engine.chunk_cache import ChunkCache
from dacse_cli.pipeline.record.chunk_cache import binding
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.task import Chunk, Task
from dacse_cli.pipeline.wire.messages import Keep
from dacse_cli.pipeline.wire.outcome import Finished


class Resuming:
    """A `Task` around another. `on_recalled` gets the seconds of audio of each chunk that was kept."""

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

    def chunks(self) -> Iterator[Chunk | float]:
        for chunk in self._task.chunks():
            if isinstance(chunk, Chunk):
                self._asked += 1
                yield self._recalled(chunk) or 0.0
            else:
                yield chunk

    def _recalled(self, chunk: Chunk) -> Chunk | None:
        """None if the outputs of it and of every further try were kept; else what is left to do."""
        again: Chunk | None = chunk
        while again is not None and (units := self._cache.recall(again)) is not None:
            self._seconds += again.seconds
            self._on_recalled(again.seconds)
            again = self._task.deliver(again, units)
        return again

    def deliver(self, chunk: Chunk, units: Units) -> Chunk | None:
        if self._lasting or self._asked > 1:  # an only chunk is written out at once
            self._cache.keep(chunk, units)
        return self._task.deliver(chunk, units)

    def finish(self) -> Finished:
        finished = self._task.finish()
        self._cache.close()
        return replace(finished, resumed=self._seconds)

    def abandon(self) -> None:
        self._cache.close()
        self._task.abandon()


def resuming(task: Task, keep: Keep | None, models: Models, on_recalled: Callable[[float], None]) -> Task:
    """`task` with its chunks kept as `keep` says, or as it is where nothing is to be kept.

    Chunks depend on what the supervisor knows (input, settings, models' hashes) and on what only this process
    does: how the translator runs here, and this version of dacse.
    """
    if keep is None or models.translator is None:
        return task
    device = models.translator.device
    runs = models.translator.describe().replace(device, device.split(":")[0])
    bound_to = {**binding(keep), "runs": runs, "dacse": __version__}
    return Resuming(task, ChunkCache(keep.path, bound_to), on_recalled, lasting=keep.lasting)
