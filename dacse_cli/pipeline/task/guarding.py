"""The guard of one task: compares every output chunk with its input and decides what is written."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import numpy as np

from dacse_cli.audio.resample import resample
from dacse_cli.errors import InputError
from dacse_cli.interfaces import Draw, Samples, Units
from dacse_cli.pipeline.guard.frames import HOP, RATE, Frames, listen
from dacse_cli.pipeline.guard.loops import find_repetitions, repeats
from dacse_cli.pipeline.guard.verdict import THRESHOLDS, judge, loudness, sounds
from dacse_cli.pipeline.task.task import Chunk
from dacse_cli.pipeline.wire.guard_report import KEPT, PASSED, REPAIRED, GuardReport, Stretch, joined

TRIES = {"normal": 1, "strict": 3}
"""Further tries per chunk."""
TEMPERATURE = 0.7
"""Sampling temperature of further tries."""
AROUND_SECONDS = 2.0
"""Seconds of input before a chunk that count for its local loudness."""


class Ruling(Enum):
    """The decision on an output chunk."""

    KEEP = "keep"
    TRY_AGAIN = "try again"
    PASS_THROUGH = "pass the input through"  # noqa: S105


@dataclass(frozen=True)
class _Input:
    """The input of a chunk whose output is not final."""

    samples: Samples
    frames: Frames
    loudest: float
    start: float
    stop: float


class Watch:
    """Decides on every output chunk, from its input, attempt and output alone, so that runs are reproducible.

    `mode` is normal or strict; `rate` is the codec's sample rate. Without `redraws` no chunk is tried again.
    """

    def __init__(self, mode: str, rate: int, frame_rate: Fraction, *, redraws: bool = True) -> None:
        self._mode, self._rate, self._frame_rate = mode, rate, float(frame_rate)
        self._tries = TRIES[mode] if redraws else 0
        self._inputs: dict[tuple[int, int], _Input] = {}
        self._around: dict[int, deque[tuple[float, float]]] = {}
        self._reasons: dict[tuple[int, int], list[str]] = {}
        self._counts = {KEPT: 0, REPAIRED: 0, PASSED: 0}
        self._stretches: list[Stretch] = []

    def hear(self, index: int, row: int, samples: Samples, start: float, stop: float) -> None:
        """The input `[n]` of a chunk, of seconds `start` to `stop`. Chunks of a row come in order."""
        frames = listen(self._at_guard_rate(samples))
        around = self._around.setdefault(row, deque())
        around.append((stop, loudness(frames)))
        while around[0][0] < start - AROUND_SECONDS:
            around.popleft()
        loudest = max(level for _, level in around)
        self._inputs[index, row] = _Input(samples, frames, loudest, start, stop)

    def input_of(self, chunk: Chunk) -> Samples:
        """A chunk's input `[n]`, for passing it through."""
        return self._inputs[chunk.index, chunk.row].samples

    def rule(self, chunk: Chunk, kept: slice, units: Units, output: Samples) -> Ruling:
        """Decide on `units` `[U, t]` of `chunk`, whose frames `kept` decode to `output` `[n]`.

        Raises `InputError` with reason `unfaithful` where pass-through is not allowed.
        """
        given = self._inputs[chunk.index, chunk.row]
        found = self._doubts(given, chunk.units[:, kept], units[:, kept], output)
        reasons = self._reasons.setdefault((chunk.index, chunk.row), found)
        if not found:
            self._note(given, chunk, REPAIRED if chunk.attempt else KEPT, reasons)
            return Ruling.KEEP
        if chunk.attempt < self._tries:
            return Ruling.TRY_AGAIN
        if self._mode == "strict":
            stretch = Stretch(given.start, given.stop, chunk.row, PASSED, tuple(reasons))
            raise InputError(
                f"the output does not match the input at {stretch.describe().split(' ')[0]} "
                f"({', '.join(reasons)})",
                reason="unfaithful",
                hint="With guard normal such passages are passed through unenhanced.",
            )
        self._note(given, chunk, PASSED, reasons)
        return Ruling.PASS_THROUGH

    def again(self, chunk: Chunk) -> Chunk:
        """The chunk to be tried again, with a seed that every run repeats."""
        seed = hashlib.blake2b(digest_size=8, person=b"dacse-guard")
        seed.update(np.ascontiguousarray(chunk.units, "<i2").tobytes())
        seed.update(f"{chunk.index} {chunk.row} {chunk.attempt}".encode())
        return chunk.again(Draw(TEMPERATURE, int.from_bytes(seed.digest(), "little")))

    def release(self, chunk: Chunk) -> None:
        """Forget the input of a chunk whose output is final."""
        key = (chunk.index, chunk.row)
        del self._inputs[key], self._reasons[key]

    @property
    def report(self) -> GuardReport:
        """The guard's report on the chunks so far."""
        counts = self._counts
        return GuardReport(
            self._mode, counts[KEPT], counts[REPAIRED], counts[PASSED], joined(self._stretches)
        )

    def _at_guard_rate(self, samples: Samples) -> Samples:
        return samples if self._rate == RATE else resample(samples[None], self._rate, RATE)[0]

    def _doubts(self, given: _Input, asked: Units, units: Units, output: Samples) -> list[str]:
        said = listen(self._at_guard_rate(output))
        found = judge(given.frames, said, given.loudest, THRESHOLDS[self._mode])
        if units.dtype.kind != "i":  # continuous latents never repeat exactly
            return found
        for loop in find_repetitions(units, self._frame_rate):
            start, stop = (int(frame / self._frame_rate * RATE / HOP) for frame in (loop.start, loop.stop))
            if sounds(said, start, stop, given.loudest) and not repeats(asked, loop):
                return [*found, "stuck"]
        return found

    def _note(self, given: _Input, chunk: Chunk, outcome: str, reasons: list[str]) -> None:
        self._counts[outcome] += 1
        if outcome != KEPT:
            self._stretches.append(
                Stretch(round(given.start, 3), round(given.stop, 3), chunk.row, outcome, tuple(reasons))
            )
