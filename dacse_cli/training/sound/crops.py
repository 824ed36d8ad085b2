"""Short pieces of clean recordings at random positions and levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dacse_cli.errors import InputError, UsageError
from dacse_cli.training.sound.level import FULL_SCALE, Samples, gain_of, power, rms
from dacse_cli.training.sound.recordings import Reader, Recording

QUIETEST = 1e-3
"""RMS (full scale 1) below which a crop is a pause and another one is drawn."""
TRIES = 10
"""Crops drawn for a row; if all are pauses the loudest is taken."""
MOST_GAIN = 100.0
"""Most gain for a crop (40 dB), so that pauses are not amplified to speech level."""


@dataclass(frozen=True)
class Level:
    """A normal distribution of levels: root mean square of a crop, dB of full scale."""

    mean_db: float = -16.0
    spread_db: float = 0.0

    def apply(self, crop: Samples, rng: np.random.Generator) -> Samples:
        """`crop` at a random level, as far as its peaks and `MOST_GAIN` allow it."""
        level = gain_of(rng.normal(self.mean_db, self.spread_db) if self.spread_db else self.mean_db)
        peak = float(np.abs(crop).max(initial=0.0))
        gain = min(level / max(rms(crop), 1e-12), FULL_SCALE / max(peak, 1e-12), MOST_GAIN)
        return np.asarray(crop * np.float32(gain), np.float32)


class Chooser:
    """Draws recordings in proportion to their lengths, and their groups in proportion to `shares`.

    A group is the first folder of a recording's name. Raises `UsageError` for a group that is not there.
    """

    def __init__(
        self, recordings: Sequence[Recording], reader: Reader, shares: Mapping[str, float] | None = None
    ) -> None:
        lengths = np.asarray([reader.length(recording) for recording in recordings], np.float64)
        groups = np.asarray([recording.speaker for recording in recordings])
        weights = lengths.copy()
        for group, share in (shares or {}).items():
            here = groups == group
            if not here.any():
                raise UsageError(
                    f"data.shares names {group!r}, but no recording lies in a folder of that name",
                    hint=f"There are {', '.join(sorted(set(groups))[:8])}.",
                )
            weights[here] *= share / lengths[here].sum()
        if shares:
            weights[~np.isin(groups, list(shares))] = 0.0
        self._recordings, self._edges = recordings, np.cumsum(weights / weights.sum())

    def draw(self, rng: np.random.Generator) -> Recording:
        """One recording."""
        place = int(np.searchsorted(self._edges, rng.random(), side="right"))
        return self._recordings[min(place, len(self._recordings) - 1)]


@dataclass(frozen=True)
class Crops:
    """Crops of `samples` samples from `recordings`; longer recordings are drawn more often."""

    recordings: Sequence[Recording]
    reader: Reader
    samples: int
    level: Level
    shares: Mapping[str, float] | None = None
    """Shares of groups of recordings: see `Chooser`."""

    def crop(self, rng: np.random.Generator) -> Samples:
        """One crop [S]; a shorter recording is padded with silence. Raises `InputError`."""
        failure: InputError | None = None
        loudest = np.zeros(self.samples, np.float32)
        for _ in range(TRIES):
            recording = self._chooser.draw(rng)
            own = self.reader.length(recording)
            start = int(rng.integers(max(1, own - self.samples + 1)))
            try:
                crop = self.reader.read(recording, start, min(own, self.samples))
            except InputError as error:
                failure = error
                continue
            if power(crop) > power(loudest):
                loudest = np.pad(crop, (0, self.samples - len(crop)))
            if power(crop) > QUIETEST**2:
                break
        if not loudest.any():
            raise failure or InputError(f"{TRIES} crops in turn are digital silence", reason="silent")
        return self.level.apply(loudest, rng)

    @cached_property
    def _chooser(self) -> Chooser:
        return Chooser(self.recordings, self.reader, self.shares)


def whole_frames(seconds: float, rate: int, hop: int) -> int:
    """Samples of `seconds`, rounded to whole frames of `hop` samples, at least one."""
    return max(1, round(seconds * rate / hop)) * hop
