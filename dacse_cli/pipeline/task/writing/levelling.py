"""Loudness normalisation of a result: measured while it is written, scaled when it is complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from dacse_cli.audio.limiter import Limiter
from dacse_cli.audio.loudness import FLOOR, LoudnessMeter, TruePeakMeter
from dacse_cli.files.problems import output_error
from dacse_cli.interfaces import Samples
from dacse_cli.pipeline.task.writing.sinks import Sink, Written

IN_MEMORY = 1 << 22
"""Bytes of a result that are held in memory; more goes to an unnamed file on the output's disk."""
MOST_LIMITED = 12.0
"""dB by which a limiter turns peaks down at most; a goal that needs more is missed."""
_PASSES = 5
"""Passes over a result to find the gain that gives the wanted loudness after limiting."""
_MARGIN = 3.0
"""dB that a limiter may need beyond what is missed, because it makes a result quieter."""
_UNHEARD = 0.1
"""LU; a smaller difference is not reported."""


class LevelledSink:
    """A `Sink` that passes everything to another one, at one gain.

    `goal()` is the loudness to reach in LUFS. The gain is reduced where the true peak would exceed `ceiling`
    dBTP, or with `limit` a limiter turns the peaks down, by at most `MOST_LIMITED`. A result whose loudness
    cannot be measured, such as silence, is passed on unchanged.
    """

    def __init__(
        self,
        inner: Sink,
        sample_rate: int,
        channels: int,
        goal: Callable[[], float],
        ceiling: float,
        *,
        limit: bool = False,
    ) -> None:
        self.folder = inner.folder
        self._inner, self._goal, self._ceiling = inner, goal, ceiling
        self._channels, self._rate, self._limit = channels, sample_rate, limit
        self._loudness = LoudnessMeter(sample_rate, channels)
        self._peak = TruePeakMeter(sample_rate, channels)
        place = str(self.folder) if self.folder is not None else None
        self._spool = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=place)  # noqa: SIM115 - see finish

    def write(self, samples: Samples) -> None:
        self._loudness.push(samples)
        self._peak.push(samples)
        try:
            self._spool.write(np.ascontiguousarray(samples.T).tobytes())
        except OSError as error:
            raise output_error(error, self.folder or Path(tempfile.gettempdir())) from error

    def finish(self, frames: int) -> Written:
        gain, words = self._decided()
        for block in self._at(gain):
            self._inner.write(block)
        self._spool.close()
        files, warnings = self._inner.finish(frames)
        return files, [*words, *warnings]

    def abandon(self) -> None:
        self._spool.close()
        self._inner.abandon()

    def _decided(self) -> tuple[float, list[str]]:
        """The gain in dB, and warnings."""
        measured, goal, peak = self._loudness.integrated(), self._goal(), self._peak.finish()
        if measured <= FLOOR or goal <= FLOOR:
            return 0.0, []
        most = self._ceiling - peak + (MOST_LIMITED if self._limit else 0.0)
        gain = min(goal - measured, most)
        missed = goal - measured - gain
        if self._limit and gain > self._ceiling - peak:
            gain, missed = self._limited(gain, goal, most)
        if missed <= _UNHEARD:
            return gain, []
        words = f"{missed:.1f} LU below {goal:.1f} LUFS, to keep the true peak at {self._ceiling:g} dB"
        if not self._limit:
            helps = "reaches it" if missed < MOST_LIMITED - _MARGIN else "comes closer"
            words += f"; `limiter` {helps}"
        return gain, [words]

    def _limited(self, gain: float, goal: float, most: float) -> tuple[float, float]:
        """The gain that compensates for the limiter, up to `most`, and the deviation from the goal."""
        for passes_left in reversed(range(_PASSES)):
            meter = LoudnessMeter(self._rate, self._channels)
            for block in self._at(gain):
                meter.push(block)
            missed = goal - meter.integrated()
            if missed <= _UNHEARD or gain == most or not passes_left:
                break
            gain = min(gain + missed, most)
        return gain, missed

    def _at(self, gain: float) -> Iterator[Samples]:
        """The written samples at a gain in dB, limited if requested."""
        factor = np.float32(10 ** (gain / 20))
        scaled = (block * factor for block in self._replayed())
        if not self._limit:
            yield from scaled
            return
        limiter = Limiter(self._rate, self._channels, self._ceiling)
        yield from map(limiter.push, scaled)
        yield limiter.finish()

    def _replayed(self) -> Iterator[Samples]:
        self._spool.seek(os.SEEK_SET)
        size = self._rate * self._channels * 4
        while data := self._spool.read(size):
            yield np.ascontiguousarray(np.frombuffer(data, np.float32).reshape(-1, self._channels).T)
