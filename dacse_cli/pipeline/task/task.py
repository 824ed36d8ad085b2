"""What the engine needs to know of a piece of work.

A task yields chunks (units to be translated), takes the outputs back in any order, and finishes with files or
arrays. It knows nothing of batches; the engine knows nothing of audio.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from dacse_cli.interfaces import Draw, Units
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
    """How often it has been translated already."""
    draw: Draw | None = None
    """How the output is sampled; None takes the best units."""

    def again(self, draw: Draw) -> Chunk:
        """The same, to be sampled. It adds no seconds: they have been counted."""
        return replace(self, attempt=self.attempt + 1, draw=draw, seconds=0.0)


class Task(Protocol):
    """One file's or one array's way through the models."""

    def chunks(self) -> Iterator[Chunk | float]:
        """Chunks in order. Between them seconds of audio that were finished without a chunk, possibly 0.

        Reading and encoding happen while iterating.
        """

    def deliver(self, chunk: Chunk, units: Units) -> Chunk | None:
        """The output `[U, t]` of a chunk, in any order. A chunk returned is `chunk` to be tried again.

        What is decided here follows from the chunk, its attempt and the output alone, not from the order of
        outputs, so that a file comes out the same in every batch and in a resumed run.
        """

    def finish(self) -> Finished:
        """Called once, after the last chunk is delivered."""

    def abandon(self) -> None:
        """Drop everything and remove what was written. May be called once, at any time."""
