"""A second opinion while a result is written: input and result go past a recogniser, passage by passage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dacse_cli.audio.resample import StreamResampler
from dacse_cli.errors import InputError
from dacse_cli.pipeline.guard.transcripts import Opinion, described, later_and_softer, opinion, pause
from dacse_cli.pipeline.task.output import DryBlocks
from dacse_cli.pipeline.task.sources import Samples, Sink
from dacse_cli.pipeline.wire.guard_report import DOUBTED, GuardReport, Stretch, joined
from dacse_cli.pipeline.wire.outcome import OutputFile
from dacse_cli.speech.recogniser import RATE, Recogniser

SHORTEST, LONGEST = 8 * RATE, 12 * RATE
"""Samples of a passage, cut in a pause between these. A recogniser takes as long for 10 s as for 1 s, but of
more words a few wrong ones are a smaller share."""
AUDIBLE = 1e-3
"""Peak of an input below which there is nothing to understand."""


class SecondOpinion:
    """Listens to an input and to what was made of it; keeps the account.

    `strict`: the first passage with other words raises `InputError` with reason `unfaithful`.
    """

    def __init__(self, recognise: Recogniser, rate: int, *, strict: bool) -> None:
        self._recognise, self._strict = recognise, strict
        self._ears = StreamResampler(rate, RATE, 2)
        self._both = np.zeros((2, 0), np.float32)  # mono: what was heard, what is said
        self._start = 0
        self._compared = 0
        self._stretches: list[Stretch] = []

    def push(self, heard: Samples, said: Samples) -> None:
        """The next samples `[C, n]` of the input and of the result."""
        self._listen(self._ears.push(np.stack([heard.mean(axis=0), said.mean(axis=0)])))

    def close(self) -> None:
        """Nothing will come any more."""
        self._listen(self._ears.finish())
        self._compare(self._both.shape[1])

    def report(self, guard: GuardReport) -> GuardReport:
        """The guard's account with this one in it."""
        return replace(
            guard,
            compared=self._compared,
            doubted=len(self._stretches),
            stretches=joined([*guard.stretches, *self._stretches]),
        )

    def _listen(self, both: Samples) -> None:
        self._both = np.concatenate([self._both, both], axis=1)
        while self._both.shape[1] >= LONGEST:
            self._compare(pause(self._both[1], SHORTEST, LONGEST))

    def _compare(self, samples: int) -> None:
        """Take the next passage off and rule on it."""
        heard, said = self._both[:, :samples]
        start, self._start = self._start, self._start + samples
        self._both = self._both[:, samples:]
        if np.abs(heard).max(initial=0.0) < AUDIBLE:
            return
        before = self._recognise(heard)
        after = self._recognise(said, before.language)
        found = opinion(before, after, lambda: self._recognise(later_and_softer(heard), before.language))
        self._compared += found is not Opinion.NONE
        if found is Opinion.OTHER:
            times = round(start / RATE, 3), round(self._start / RATE, 3)
            self._doubt(Stretch(*times, 0, DOUBTED, ("other-words",), described(before, after)))

    def _doubt(self, stretch: Stretch) -> None:
        if self._strict:
            raise InputError(
                f"other words are heard at {stretch.describe()}",
                reason="unfaithful",
                hint="--guard normal keeps such passages and says where they are.",
            )
        self._stretches.append(stretch)


class ListeningSink:
    """A `Sink` that passes on to another what it is given, past a second opinion."""

    def __init__(self, inner: Sink, dry: DryBlocks, opinion: SecondOpinion) -> None:
        self.folder = inner.folder
        self._inner, self._dry, self._opinion = inner, dry, opinion

    def write(self, samples: Samples) -> None:
        self._inner.write(samples)
        self._opinion.push(self._dry.take(samples.shape[1]), samples)

    def finish(self, frames: int) -> tuple[list[OutputFile], list[str]]:
        self._opinion.close()
        return self._inner.finish(frames)

    def abandon(self) -> None:
        self._inner.abandon()
