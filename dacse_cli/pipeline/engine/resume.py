"""A task that goes on where a stopped one was: what has been answered is kept and not asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dacse_cli import __version__
from dacse_cli.pipeline.engine.chunk_cache import KeptAnswers
from dacse_cli.pipeline.task.task import Chain, Chunk, Finished, Task
from dacse_cli.pipeline.wire.process import Message


class Resuming:
    """A `Task` around another. `on_recalled` hears the seconds of audio of each chunk that was kept."""

    def __init__(self, task: Task, kept: KeptAnswers, on_recalled: Callable[[float], None]) -> None:
        self._task, self._kept, self._on_recalled = task, kept, on_recalled
        self._seconds = 0.0
        self._asked = 0

    def chunks(self) -> Iterator[Chunk | None]:
        for chunk in self._task.chunks():
            if chunk is not None:
                self._asked += 1
                chunk = self._recalled(chunk)
            yield chunk

    def _recalled(self, chunk: Chunk) -> Chunk | None:
        """None if the answers to it and to every further try asked for were kept; else what is left to do."""
        again: Chunk | None = chunk
        while again is not None and (answer := self._kept.recall(again)) is not None:
            self._seconds += again.seconds
            self._on_recalled(again.seconds)
            again = self._task.deliver(again, answer)
        return again

    def deliver(self, chunk: Chunk, codes: NDArray[np.int16]) -> Chunk | None:
        if self._asked > 1:  # an only chunk is written out at once
            self._kept.keep(chunk, codes)
        return self._task.deliver(chunk, codes)

    def finish(self) -> Finished:
        finished = self._task.finish()
        self._kept.close()
        return replace(finished, resumed=self._seconds)

    def abandon(self) -> None:
        self._kept.close()
        self._task.abandon()


def resuming(task: Task, job: Message, chain: Chain, on_recalled: Callable[[float], None]) -> Task:
    """`task` with its answers kept where the supervisor says, or as it is where it says nothing.

    The answers are bound to what the supervisor knows (input, settings, models' hashes) and to what only the
    worker does: on what kind of device and how precisely the model runs here, and this version of dacse.
    """
    if job.get("keep") is None or chain.lm is None:
        return task
    runs = f"{chain.lm.dtype} on {chain.lm.device.split(':')[0]}"
    bound_to = {**job["keep"]["binding"], "runs": runs, "dacse": __version__}
    return Resuming(task, KeptAnswers(Path(job["keep"]["path"]), bound_to), on_recalled)
