"""Speech of any length: recordings one after another, each at its own level, with pauses between them.

For rows longer than recordings: a row is like somebody who speaks, pauses, speaks again, or stops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from dacse_cli.training.sound.crops import Chooser
from dacse_cli.training.sound.level import Samples, active_rms, gain_of
from dacse_cli.training.sound.recordings import Reader, Recording

QUIETEST = 1e-3
"""RMS below which an utterance is not made louder any more."""


@dataclass(frozen=True)
class Talk:
    """How utterances follow each other."""

    level_db: float = -26.0
    """Mean level of an utterance without its pauses, dB of full scale."""
    level_spread_db: float = 3.0
    """Largest deviation of an utterance's level from it, in dB (uniform)."""
    late: float = 0.4
    """Chance that the row begins with a pause,"""
    latest: float = 0.3
    """of up to this share of the row."""
    pause: float = 0.25
    """Mean pause between utterances, seconds (exponential)."""
    stops: float = 0.15
    """Chance that the speaker says nothing more after an utterance."""


@dataclass(frozen=True)
class Passages:
    """Rows of `samples` samples made of `recordings`."""

    recordings: Sequence[Recording]
    reader: Reader
    samples: int
    talk: Talk = field(default_factory=Talk)
    shares: Mapping[str, float] | None = None
    """Shares of groups of recordings: see `crops.Chooser`."""

    def crop(self, rng: np.random.Generator) -> Samples:
        """One row [S] of speech and pauses. Raises `InputError`."""
        talk, out = self.talk, np.zeros(self.samples, np.float32)
        at = int(rng.uniform(0.0, talk.latest) * self.samples) if rng.random() < talk.late else 0
        while at < self.samples:
            recording = self._chooser.draw(rng)
            own, room = self.reader.length(recording), self.samples - at
            start = int(rng.integers(own - room + 1)) if own > room and at == 0 else 0
            speech = self.reader.read(recording, start, min(own, room))
            level = gain_of(talk.level_db + rng.uniform(-talk.level_spread_db, talk.level_spread_db))
            gain = level / max(active_rms(speech, self.reader.rate), QUIETEST)
            out[at : at + len(speech)] = speech * np.float32(gain)
            at += len(speech) + int(rng.exponential(talk.pause) * self.reader.rate)
            if rng.random() < talk.stops:
                break
        return out

    @cached_property
    def _chooser(self) -> Chooser:
        return Chooser(self.recordings, self.reader, self.shares)
