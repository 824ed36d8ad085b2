"""A speech recogniser compares the words of input and result, passage by passage, while it is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dacse_cli.audio.resample import StreamResampler
from dacse_cli.errors import InputError
from dacse_cli.interfaces import Samples
from dacse_cli.pipeline.guard.transcripts import Opinion, described, later_and_softer, opinion, pause
from dacse_cli.pipeline.task.reading.sources import DryBlocks
from dacse_cli.pipeline.task.writing.sinks import Sink, Written
from dacse_cli.pipeline.wire.guard_report import DOUBTED, GuardReport, Stretch, joined
from dacse_cli.speech.recogniser import RATE, Recogniser

SHORTEST, LONGEST = 8 * RATE, 12 * RATE
"""Samples of a passage, which is cut in a pause between these. A recogniser takes as long for 10 s as for
1 s, and a few wrong words are a smaller share of more."""
AUDIBLE = 1e-3
"""Peak of an input below which it is treated as having no speech."""


class SecondOpinion:
    """Gets an input and the result made of it; reports the passages with other words.

    `strict`: the first passage with other words raises `InputError` with reason `unfaithful`.
    """

    def __init__(self, recognise: Recogniser, rate: int, *, strict: bool) -> None:
        self._recognise, self._strict = recognise, strict
        self._resampler = StreamResampler(rate, RATE, 2)
        self._both = np.zeros((2, 0), np.float32)  # mono: input and result
        self._start = 0
        self._compared = 0
        self._stretches: list[Stretch] = []

    def push(self, dry: Samples, result: Samples) -> None:
        """The next samples `[C, n]` of the input and of the result."""
        self._take(self._resampler.push(np.stack([dry.mean(axis=0), result.mean(axis=0)])))

    def close(self) -> None:
        """Compare the remaining samples."""
        self._take(self._resampler.finish())
        self._compare(self._both.shape[1])

    def report(self, guard: GuardReport) -> GuardReport:
        """The guard's report with the passages of this check added."""
        return replace(
            guard,
            compared=self._compared,
            doubted=len(self._stretches),
            stretches=joined([*guard.stretches, *self._stretches]),
        )

    def _take(self, both: Samples) -> None:
        self._both = np.concatenate([self._both, both], axis=1)
        while self._both.shape[1] >= LONGEST:
            self._compare(pause(self._both[1], SHORTEST, LONGEST))

    def _compare(self, samples: int) -> None:
        """Compare the next passage, `samples` long."""
        dry, result = self._both[:, :samples]
        start, self._start = self._start, self._start + samples
        self._both = self._both[:, samples:]
        if np.abs(dry).max(initial=0.0) < AUDIBLE:
            return
        before = self._recognise(dry)
        after = self._recognise(result, before.language)
        found = opinion(before, after, lambda: self._recognise(later_and_softer(dry), before.language))
        self._compared += found is not Opinion.NONE
        if found is Opinion.OTHER:
            times = round(start / RATE, 3), round(self._start / RATE, 3)
            self._doubt(Stretch(*times, 0, DOUBTED, ("other-words",), described(before, after)))

    def _doubt(self, stretch: Stretch) -> None:
        if self._strict:
            raise InputError(
                f"the output has other words at {stretch.describe()}",
                reason="unfaithful",
                hint='`guard="normal"` keeps such passages and says where they are.',
            )
        self._stretches.append(stretch)


class CheckedSink:
    """A `Sink` that passes everything on to another and to a check."""

    def __init__(self, inner: Sink, dry: DryBlocks, check: SecondOpinion) -> None:
        self.folder = inner.folder
        self._inner, self._dry, self._check = inner, dry, check

    def write(self, samples: Samples) -> None:
        self._inner.write(samples)
        self._check.push(self._dry.take(samples.shape[1]), samples)

    def finish(self, frames: int) -> Written:
        self._check.close()
        return self._inner.finish(frames)

    def abandon(self) -> None:
        self._inner.abandon()
