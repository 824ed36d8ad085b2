"""The guard of one task: remembers what was heard, rules on every answer, keeps the account."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.resample import resample
from dacse_cli.errors import InputError
from dacse_cli.lm.sampling import Draw
from dacse_cli.pipeline.guard.frames import HOP, RATE, Frames, listen
from dacse_cli.pipeline.guard.loops import find_loops, repeats
from dacse_cli.pipeline.guard.verdict import THRESHOLDS, judge, loudness, sounds
from dacse_cli.pipeline.task.task import Chunk
from dacse_cli.pipeline.wire.guard_report import KEPT, PASSED, REPAIRED, GuardReport, Stretch, joined

Codes = NDArray[np.int16]
Samples = NDArray[np.float32]

TRIES = {"normal": 1, "strict": 3}
"""Second tries a chunk."""
TEMPERATURE = 0.7
"""Of second tries."""
AROUND_SECONDS = 2.0
"""What was heard so long before a chunk says how loud its surroundings are."""


class Ruling(Enum):
    """What becomes of an answer."""

    KEEP = "keep"
    TRY_AGAIN = "try again"
    LET_THROUGH = "let the input through"


@dataclass(frozen=True)
class _Heard:
    """The input of a chunk that waits for its answer."""

    samples: Samples
    frames: Frames
    loudest: float
    start: float
    stop: float


class Watch:
    """Rules depend on a chunk's input, its attempt and its answer alone, so that runs repeat.

    `mode` is normal or strict; `rate` the codec's, in samples a second.
    """

    def __init__(self, mode: str, rate: int, frame_rate: Fraction) -> None:
        self._mode, self._rate, self._frame_rate = mode, rate, float(frame_rate)
        self._waiting: dict[tuple[int, int], _Heard] = {}
        self._around: dict[int, deque[tuple[float, float]]] = {}
        self._reasons: dict[tuple[int, int], list[str]] = {}
        self._counts = {KEPT: 0, REPAIRED: 0, PASSED: 0}
        self._stretches: list[Stretch] = []

    def hear(self, index: int, row: int, samples: Samples, start: float, stop: float) -> None:
        """The input `[n]` of a chunk, of seconds `start` to `stop`. Chunks of a row come in order."""
        frames = listen(self._ear(samples))
        around = self._around.setdefault(row, deque())
        around.append((stop, loudness(frames)))
        while around[0][0] < start - AROUND_SECONDS:
            around.popleft()
        loudest = max(level for _, level in around)
        self._waiting[index, row] = _Heard(samples, frames, loudest, start, stop)

    def input_of(self, chunk: Chunk) -> Samples:
        """What was heard `[n]`, for passing it through."""
        return self._waiting[chunk.index, chunk.row].samples

    def rule(self, chunk: Chunk, codes: Codes, said: Samples) -> Ruling:
        """On the answer `codes` `[K, t]`, which sounds like `said` `[n]`.

        Raises `InputError` with reason `unfaithful` where nothing may pass through.
        """
        heard = self._waiting[chunk.index, chunk.row]
        found = self._doubts(heard, chunk.codes, codes, said)
        reasons = self._reasons.setdefault((chunk.index, chunk.row), found)
        if not found:
            self._note(heard, chunk, REPAIRED if chunk.attempt else KEPT, reasons)
            return Ruling.KEEP
        if chunk.attempt < TRIES[self._mode]:
            return Ruling.TRY_AGAIN
        if self._mode == "strict":
            stretch = Stretch(heard.start, heard.stop, chunk.row, PASSED, tuple(reasons))
            raise InputError(
                f"the model does not say what was said at {stretch.describe().split(' ')[0]} "
                f"({', '.join(reasons)})",
                reason="unfaithful",
                hint="--guard normal passes such stretches through unenhanced.",
            )
        self._note(heard, chunk, PASSED, reasons)
        return Ruling.LET_THROUGH

    def again(self, chunk: Chunk) -> Chunk:
        """The chunk to be tried again, with a chance of its own that every run repeats."""
        seed = hashlib.blake2b(digest_size=8, person=b"dacse-guard")
        seed.update(np.ascontiguousarray(chunk.codes, "<i2").tobytes())
        seed.update(f"{chunk.index} {chunk.row} {chunk.attempt}".encode())
        return chunk.again(Draw(TEMPERATURE, int.from_bytes(seed.digest(), "little")))

    def release(self, chunk: Chunk) -> None:
        """Forget the input of a chunk whose answer is final."""
        key = (chunk.index, chunk.row)
        del self._waiting[key], self._reasons[key]

    @property
    def report(self) -> GuardReport:
        """The account so far."""
        counts = self._counts
        return GuardReport(
            self._mode, counts[KEPT], counts[REPAIRED], counts[PASSED], joined(self._stretches)
        )

    def _ear(self, samples: Samples) -> Samples:
        return samples if self._rate == RATE else resample(samples[None], self._rate, RATE)[0]

    def _doubts(self, heard: _Heard, asked: Codes, codes: Codes, said: Samples) -> list[str]:
        answer = listen(self._ear(said))
        found = judge(heard.frames, answer, heard.loudest, THRESHOLDS[self._mode])
        for loop in find_loops(codes, self._frame_rate):
            start, stop = (int(frame / self._frame_rate * RATE / HOP) for frame in (loop.start, loop.stop))
            if sounds(answer, start, stop, heard.loudest) and not repeats(asked, loop):
                return [*found, "stuck"]
        return found

    def _note(self, heard: _Heard, chunk: Chunk, outcome: str, reasons: list[str]) -> None:
        self._counts[outcome] += 1
        if outcome != KEPT:
            self._stretches.append(
                Stretch(round(heard.start, 3), round(heard.stop, 3), chunk.row, outcome, tuple(reasons))
            )
