"""One noisy/clean pair from a seed and a row number alone, so that rows can be made independently.

Which recording, which part of it and which task is `PairPlan.row`, a pure function; `make_pair` reads and
mixes. Every clean recording is used once before any is used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import InputError
from dacse_cli.training.mix.recipes import Drawn
from dacse_cli.training.mix.rooms import draw_room
from dacse_cli.training.mix.signals import fit_both
from dacse_cli.training.mix.tasks import TASKS, TaskContext, task_of
from dacse_cli.training.sound.level import Samples, power
from dacse_cli.training.sound.noises import RecordedNoise
from dacse_cli.training.sound.recordings import FromFiles, Reader, Recording
from dacse_cli.training.sound.segments import Segmenting, cut

QUIETEST = 1e-3
"""RMS (full scale 1) below which a part of a clean recording is a pause and is replaced by another."""
TRIES = 10
"""Parts tried for a row before the recordings count as unusable."""


@dataclass(frozen=True)
class Row:
    """The sources of one row. `start` and `samples` are at the plan's rate."""

    index: int
    task: str
    speech: Recording
    start: int
    samples: int


@dataclass(frozen=True)
class Pair:
    """`noisy` and `clean` [S], equally long and scaled by one gain, and the drawn parameters."""

    noisy: Samples
    clean: Samples
    record: dict[str, Any]


@dataclass(frozen=True)
class PairPlan:
    """All rows of one split, without end. Recordings in `speech` are long enough for `lengths`."""

    split: str
    seed: int
    rate: int
    shares: Mapping[str, float]
    lengths: Segmenting
    speech: tuple[Recording, ...]
    noises: tuple[Recording, ...]
    rooms: tuple[Recording, ...]
    """Room responses; where there are none, rooms are simulated by `room_model`."""
    room_model: str

    @property
    def reader(self) -> Reader:
        """The reader of parts of recordings."""
        return FromFiles(self.rate)

    def rng(self, index: int, attempt: int) -> np.random.Generator:
        """Random generator of one row, different for every row, split and seed."""
        return np.random.default_rng((self.seed, crc32(self.split.encode()), 1, index, attempt))

    def row(self, index: int, rng: np.random.Generator, attempt: int = 0) -> Row:
        """Row `index`; a later `attempt` takes a random recording instead of the next in order."""
        turn, place = divmod(index, len(self.speech))
        if attempt:
            chosen = int(rng.integers(len(self.speech)))
        else:
            chosen = int(_order(self.seed, self.split, turn, len(self.speech))[place])
        speech = self.speech[chosen]
        parts = cut(speech.samples_at(self.rate), self.rate, self.lengths)
        start, samples = parts[int(rng.integers(len(parts)))]
        return Row(index, task_of(index, self.shares), speech, start, samples)


def make_pair(plan: PairPlan, index: int) -> Pair:
    """Row `index` of `plan`. Silent or damaged parts are skipped and named in the record.

    Raises `InputError` when ten attempts in turn have failed.
    """
    passed_over: list[str] = []
    for attempt in range(TRIES):
        rng = plan.rng(index, attempt)
        row = plan.row(index, rng, attempt)
        try:
            return _mixed(plan, row, rng, passed_over)
        except InputError as error:
            passed_over.append(f"{row.speech.name}: {error.message}")
    raise InputError(
        f"row {index}: {TRIES} attempts in turn failed; the last: {passed_over[-1]}",
        reason="no-usable-source",
    )


def make_batch(fixed: tuple[PairPlan, int], number: int) -> list[Pair]:
    """The pairs of batch `number`; `fixed` is a plan and the rows of a batch."""
    plan, rows = fixed
    return [make_pair(plan, number * rows + row) for row in range(rows)]


def _mixed(plan: PairPlan, row: Row, rng: np.random.Generator, passed_over: list[str]) -> Pair:
    clean = plan.reader.read(row.speech, row.start, row.samples)
    if power(clean) < QUIETEST**2:
        raise InputError(f"silent from sample {row.start}", reason="silent")
    drawn: Drawn = {}
    noises: list[Drawn] = []
    noise = RecordedNoise(plan.noises, plan.reader, rng, noises)
    room = draw_room(plan.rooms, plan.room_model, plan.rate)
    noisy, target = TASKS[row.task](clean, TaskContext(plan.rate, rng, noise, room), drawn)
    if noises:
        drawn["noises"] = noises
    fitted_noisy, fitted_target = fit_both(noisy, target)
    record = {
        "row": row.index,
        "task": row.task,
        "speech": row.speech.name,
        "speaker": row.speech.speaker,
        "start": row.start,
        "samples": row.samples,
        "sample_rate": plan.rate,
        "gain": float(np.abs(fitted_noisy).max() / max(float(np.abs(noisy).max()), 1e-12)),
        "drawn": drawn,
    }
    if passed_over:
        record["passed_over"] = passed_over
    return Pair(fitted_noisy, fitted_target, record)


@lru_cache(maxsize=4)
def _order(seed: int, split: str, turn: int, recordings: int) -> NDArray[np.int64]:
    """The order of recordings in their `turn`-th use."""
    return np.random.default_rng((seed, crc32(split.encode()), 0, turn)).permutation(recordings)
