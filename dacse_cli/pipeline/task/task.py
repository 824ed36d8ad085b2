"""What the engine needs to know of a piece of work, and the models it is done with.

A task yields chunks (codes to be enhanced), takes the answers back in any order, and finishes with files or
arrays. It knows nothing of batches; the engine knows nothing of audio.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dacse_cli.interfaces import Codec
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.sampling import Draw
from dacse_cli.pipeline.task.chunks import ChunkGrid
from dacse_cli.pipeline.wire.guard_report import GuardReport
from dacse_cli.pipeline.wire.outcome import OutputFile
from dacse_cli.speech.recogniser import Recogniser
from dacse_cli.tokens.layout import TokenLayout


@dataclass(frozen=True)
class Chain:
    """The networks of a run and the grid they work on. `lm` is None where only the codec is needed."""

    codec: Codec
    lm: LanguageModel | None
    layout: TokenLayout
    grid: ChunkGrid
    codec_name: str
    """What token files say made them: a Hub id, a built-in name or a hash."""
    method: str = "generate"
    """What a sound's `auto` means."""
    recogniser: Recogniser | None = None
    """For a second opinion on what results say, where one is asked for."""

    @property
    def frame_rate(self) -> Fraction:
        """Codec frames a second."""
        return self.codec.spec.frame_rate

    @cached_property
    def silence(self) -> NDArray[np.int16]:
        """Codes `[K]` of a frame of digital silence, far from any sound."""
        spec = self.codec.spec
        around = 1 + 2 * spec.encode_margin
        zeros = np.zeros((1, around * spec.hop_length), np.float32)
        return self.codec.encode(zeros)[0, :, spec.encode_margin]


@dataclass(frozen=True)
class Chunk:
    """Codes `[K, t]` of one row of one task, to be enhanced. `seconds` is what it adds to the result."""

    task: Task
    index: int
    row: int
    codes: NDArray[np.int16]
    seconds: float
    attempt: int = 0
    """How often it has been answered already."""
    draw: Draw | None = None
    """How its answer is drawn; None takes the best code every time."""

    def again(self, draw: Draw) -> Chunk:
        """The same once more, by chance. It adds no seconds: they have been counted."""
        return replace(self, attempt=self.attempt + 1, draw=draw, seconds=0.0)


@dataclass(frozen=True)
class Finished:
    """What a task made: files (none for a task on arrays), seconds of audio, things worth a warning."""

    files: list[OutputFile]
    seconds: float
    warnings: list[str]
    resumed: float = 0.0
    """Seconds of audio whose chunks a stopped run had answered already."""
    guard: GuardReport | None = None
    """Of the guard, where one was on duty."""


class Task(Protocol):
    """One file's or one array's way through the models."""

    def chunks(self) -> Iterator[Chunk | None]:
        """Chunks in order; None between them lets the engine look around. Work happens while iterating."""

    def deliver(self, chunk: Chunk, codes: NDArray[np.int16]) -> Chunk | None:
        """Enhanced codes `[K, t]` of a chunk, in any order. A chunk returned is `chunk` to be tried again.

        What is decided here must follow from the chunk, its attempt and the codes alone, not from the order
        of answers, so that a file sounds the same in every batch and after a resumed run.
        """

    def finish(self) -> Finished:
        """Called once, after the last chunk is delivered."""

    def abandon(self) -> None:
        """Drop everything and remove what was written. May be called at any time, once."""
