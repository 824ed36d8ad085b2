"""Rows of noisy and clean speech of one length, mixed on demand: training without a data set.

A row depends on its number alone, so any process can make it. Goes through pickle; give it to
`runs.ahead.Ahead` with `make_batch`. The rows of `dacse mix`, which vary in length and keep a record, are
those of `pairs`; both mix by the same tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import InputError
from dacse_cli.training.mix.rooms import draw_room
from dacse_cli.training.mix.signals import fit_both
from dacse_cli.training.mix.tasks import TASKS, TaskContext, task_of
from dacse_cli.training.runs.chance import numpy_rng
from dacse_cli.training.sound.crops import Crops, Level
from dacse_cli.training.sound.level import Samples
from dacse_cli.training.sound.noises import RecordedNoise
from dacse_cli.training.sound.recordings import Reader, Recording

TRIES = 10
"""Attempts at a row before its recordings count as unusable."""


class Speech(Protocol):
    """A source of clean rows: `sound.crops.Crops` or `sound.passages.Passages`."""

    @property
    def reader(self) -> Reader:
        """The reader of the recordings."""

    @property
    def samples(self) -> int:
        """Samples of a row."""

    def crop(self, rng: np.random.Generator) -> Samples:
        """One row [S], always of the same length. Raises `InputError`."""


@dataclass(frozen=True)
class LiveMix:
    """Clean rows of `speech`, a share `noisy` of them degraded by the tasks in `shares`."""

    speech: Speech
    seed: int
    noisy: float = 1.0
    shares: Mapping[str, float] = field(default_factory=dict)
    """Shares of tasks, adding up to 1: see `tasks.parse_recipe`."""
    noises: Sequence[Recording] = ()
    noise_reader: Reader | None = None
    """None: the same as for speech."""
    rooms: Sequence[Recording] = ()
    """Room responses; where there are none, rooms are simulated by `room_model`."""
    room_model: str = "decay"

    def batch(self, number: int, rows: int) -> NDArray[np.float32]:
        """Noisy and clean rows [2, rows, S] of batch `number`. Raises `InputError`."""
        pairs = [self.pair(number * rows + row) for row in range(rows)]
        return np.stack([np.stack(side) for side in zip(*pairs, strict=True)])

    def pair(self, row: int) -> tuple[Samples, Samples]:
        """Noisy and clean row [S]; equal for rows that are not to be noisy. Raises `InputError`."""
        failure: InputError | None = None
        for attempt in range(TRIES):
            rng = numpy_rng(self.seed, row, attempt)
            try:
                clean = self.speech.crop(rng)
                if rng.random() >= self.noisy:
                    return clean, clean
                return fit_both(*self._mixed(clean, row, rng))
            except InputError as error:
                failure = error
        assert failure is not None
        raise failure

    def _mixed(self, clean: Samples, row: int, rng: np.random.Generator) -> tuple[Samples, Samples]:
        rate = self.speech.reader.rate
        noise = RecordedNoise(self.noises, self.noise_reader or self.speech.reader, rng, [])
        room = draw_room(self.rooms, self.room_model, rate)
        context = TaskContext(rate, rng, noise, room, voices=lambda samples: self.speech.crop(rng)[:samples])
        return TASKS[task_of(row, self.shares)](clean, context, {})


def clean_rows(reader: Reader, samples: int, level_db: float, seed: int, count: int) -> NDArray[np.float32]:
    """The same clean crops at every call [count, samples]; none where there are no recordings."""
    if not reader.recordings:
        return np.zeros((0, samples), np.float32)
    crops = Crops(reader.recordings, reader, samples, Level(level_db))
    rows: NDArray[np.float32] = LiveMix(crops, seed, noisy=0.0).batch(0, count)[1]
    return rows


def make_batch(fixed: tuple[LiveMix, int], number: int) -> NDArray[np.float32]:
    """`fixed` is a mix and the rows of a batch: what `Ahead` and `in_order` call."""
    mix, rows = fixed
    return mix.batch(number, rows)
