"""What the engine needs to know of a piece of work.

A task yields chunks (units to be translated), takes the outputs back in any order, and finishes with files or
arrays. What it needs from the codec it asks of the engine too. Tasks do not depend on batches, and the engine
does not depend on audio.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Protocol

from dacse_cli.interfaces import Draw, Units
from dacse_cli.pipeline.task.codec_work import Asking, CodecWork, Results
from dacse_cli.pipeline.wire.outcome import Finished


@dataclass(frozen=True)
class Chunk:
    """Units `[U, t]` of one row of one task, to be translated."""

    task: Task
    index: int
    row: int
    units: Units
    seconds: float
    """Audio that it adds to the result."""
    attempt: int = 0
    """How many times it has already been translated."""
    draw: Draw | None = None
    """How the output is sampled; None takes the best units."""

    def again(self, draw: Draw) -> Chunk:
        """The same chunk, to be sampled. It adds no seconds, because they were already counted."""
        return replace(self, attempt=self.attempt + 1, draw=draw, seconds=0.0)


Steps = Generator[Chunk | float | CodecWork, Results | None, None]
"""Chunks in order; seconds of audio (possibly 0) that were finished without a chunk; codec work, which is
answered with its results."""


class Task(Protocol):
    """One file's or one array's way through the models."""

    def chunks(self) -> Steps:
        """Read the input; reading happens while iterating."""

    def deliver(self, chunk: Chunk, units: Units) -> Asking[Chunk | None]:
        """Take the output `[U, t]` of a chunk, in any order. A returned chunk is `chunk` to be tried again.

        Decisions here depend only on the chunk, its attempt and the output, not on the order of outputs, so
        that the result for a file is the same in every batch and in a resumed run.
        """

    def finish(self) -> Finished:
        """Called once, after the last chunk is delivered."""

    def abandon(self) -> None:
        """Drop everything and remove what was written. May be called once, at any time."""
