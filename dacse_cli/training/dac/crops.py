"""Short crops of clean recordings, all at one level, each decided by its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import InputError, NoInputError
from dacse_cli.training.mix.plan import Files
from dacse_cli.training.mix.signals import FULL_SCALE, Samples, power
from dacse_cli.training.mix.sources import Recording, Refused, look, read_part
from dacse_cli.training.mix.splits import Split, assign
from dacse_cli.training.runs.chance import numpy_rng

QUIETEST = 1e-3
"""RMS of full scale below which a crop is a pause and another one is drawn."""
TRIES = 10
"""Crops drawn for a row; if all are pauses the loudest is taken."""
MOST_GAIN = 100.0
"""What a crop is made louder by at most, 40 dB: a pause stays one."""


@dataclass(frozen=True)
class Speech:
    """Recordings to draw from, and those held out."""

    train: tuple[Recording, ...]
    valid: tuple[Recording, ...]
    refused: tuple[Refused, ...]


def divide(files: Files, rate: int, seconds: float, held_out: float) -> Speech:
    """The recordings in `files` that last `seconds`, a share of their speakers held out.

    Raises `NoInputError` where none is long enough.
    """
    found, refused = look(files)
    long = tuple(recording for recording in found if recording.samples_at(rate) >= round(seconds * rate))
    if not long:
        raise NoInputError(f"none of the {len(files)} recordings lasts {seconds:g} s")
    speakers = {recording.speaker for recording in long}
    group = {r.name: r.speaker if len(speakers) > 1 else r.name for r in long}
    if held_out == 0 or len(long) < 2:
        return Speech(long, (), refused)
    splits = assign(
        set(group.values()), (Split("train", 1 - held_out), Split("valid", held_out)), "recordings"
    )
    train = tuple(r for r in long if splits[group[r.name]] == "train")
    return Speech(train, tuple(r for r in long if splits[group[r.name]] == "valid"), refused)


class Crops:
    """Crops [rows, S] of `recordings` at `rate` Hz; longer recordings are drawn more often."""

    def __init__(
        self, recordings: Sequence[Recording], rate: int, seconds: float, hop: int, level_db: float, seed: int
    ) -> None:
        """`seconds` are rounded to whole frames of `hop` samples."""
        self._recordings, self._rate, self._seed = recordings, rate, seed
        self.samples = max(1, round(seconds * rate / hop)) * hop
        self._level = 10.0 ** (level_db / 20.0)
        lengths = np.asarray([recording.samples_at(rate) for recording in recordings], np.float64)
        self._edges = np.cumsum(lengths / lengths.sum())

    def batch(self, number: int, rows: int) -> NDArray[np.float32]:
        """Batch `number`, the same each time it is asked for. Raises `InputError`."""
        return np.stack([self._crop(number, row) for row in range(rows)])

    def _crop(self, number: int, row: int) -> Samples:
        rng = numpy_rng(self._seed, number, row)
        failure: InputError | None = None
        loudest = np.zeros(self.samples, np.float32)
        for _ in range(TRIES):
            place = min(int(np.searchsorted(self._edges, rng.random())), len(self._recordings) - 1)
            recording = self._recordings[place]
            own = recording.samples_at(self._rate)
            start = int(rng.integers(max(1, own - self.samples + 1)))
            try:
                crop = read_part(recording, start, min(own, self.samples), self._rate)
            except InputError as error:
                failure = error
                continue
            if power(crop) > power(loudest):
                loudest = np.pad(crop, (0, self.samples - len(crop)))
            if power(crop) > QUIETEST**2:
                break
        if not loudest.any():
            raise failure or InputError(f"{TRIES} crops in turn are digital silence", reason="silent")
        return self._levelled(loudest)

    def _levelled(self, crop: Samples) -> Samples:
        peak = float(np.abs(crop).max())
        gain = min(self._level / np.sqrt(power(crop)), FULL_SCALE / peak, MOST_GAIN)
        return np.asarray(crop * gain, np.float32)
