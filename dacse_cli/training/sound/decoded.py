"""Recordings decoded once into one memory-mapped file, so that any part of them is read in microseconds.

`NAME.i16` holds all recordings end to end, mono, at one rate, 16 bits, each scaled to full scale;
`NAME.json` where each begins and what scale it had. Takes two bytes per sample on disk; in memory it uses
only the system's file cache, shared by all processes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.resample import resample
from dacse_cli.errors import InputError
from dacse_cli.files.atomic import commit, write_bytes_atomically
from dacse_cli.files.problems import output_error
from dacse_cli.training.runs.ahead import in_order
from dacse_cli.training.sound.level import Samples
from dacse_cli.training.sound.recordings import Recording, digest, read_part

FULL = 32767.0
Piece = tuple[NDArray[np.int16], float]
"""One recording: integer samples [S], and the value of one quantisation step."""


@dataclass(frozen=True)
class Decoded:
    """A `Reader` of `recordings`. Pickled as its path; each process maps the file itself."""

    path: Path
    rate: int
    recordings: tuple[Recording, ...]
    """The recordings at `rate`, mono; with several speeds, each has its own name."""
    places: tuple[tuple[int, float], ...]
    """First sample and value of one quantisation step, by recording."""

    def length(self, recording: Recording) -> int:
        """Samples of the whole recording."""
        return recording.frames

    def read(self, recording: Recording, start: int, samples: int) -> Samples:
        """Samples `start` to `start + samples` [S]. Raises `InputError` where they do not exist."""
        if start + samples > recording.frames or recording.name not in self._index:
            raise InputError(f"{recording.name} has no {samples} samples from {start}", reason="truncated")
        first, step = self._index[recording.name]
        return self._samples[first + start : first + start + samples] * np.float32(step)

    @cached_property
    def _index(self) -> dict[str, tuple[int, float]]:
        return {r.name: place for r, place in zip(self.recordings, self.places, strict=True)}

    @cached_property
    def _samples(self) -> NDArray[np.int16]:
        return np.memmap(self.path, dtype="<i2", mode="r")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the mapped file."""
        return Decoded, (self.path, self.rate, self.recordings, self.places)


def decode(
    recordings: Sequence[Recording],
    folder: Path,
    rate: int,
    *,
    speeds: Sequence[float] = (1.0,),
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Decoded:
    """`recordings` at `rate` Hz in `folder`; files from an earlier call are reused.

    A speed of 1.1 plays a recording a tenth faster and higher: one speaker more for a small corpus.
    `progress` is called with (recordings decoded, recordings to decode), each speed counted. Raises
    `InputError` for a recording that cannot be read, `OutputError`.
    """
    name = hashlib.sha256(f"{digest(recordings)} {rate} {list(speeds)}".encode()).hexdigest()[:16]
    path = folder / f"{name}.i16"
    kept = _index_of(path)
    if kept is None:
        numbers = range(len(recordings) * len(speeds))
        pieces = in_order(_piece, (tuple(recordings), rate, tuple(speeds)), numbers, jobs)
        kept = _write(path, _counted(pieces, len(numbers), progress))
    named = [
        replace(r, name=_at_speed(r.name, speed), frames=samples, sample_rate=rate, channels=1)
        for (r, speed), samples in zip(_spoken(recordings, speeds), kept["samples"], strict=True)
    ]
    starts = np.cumsum([0, *kept["samples"]])[:-1]
    places = tuple((int(start), float(step)) for start, step in zip(starts, kept["steps"], strict=True))
    return Decoded(path, rate, tuple(named), places)


def _spoken(recordings: Sequence[Recording], speeds: Sequence[float]) -> list[tuple[Recording, float]]:
    """Every recording at every speed, in the order of the file."""
    return [(recording, speed) for recording in recordings for speed in speeds]


def _at_speed(name: str, speed: float) -> str:
    return name if speed == 1.0 else f"{name}@{speed:g}"


def _piece(fixed: tuple[tuple[Recording, ...], int, tuple[float, ...]], number: int) -> Piece:
    recordings, rate, speeds = fixed
    recording, speed = recordings[number // len(speeds)], speeds[number % len(speeds)]
    own = round(rate * speed)
    sound = read_part(recording, 0, recording.samples_at(rate), rate)
    if own != rate:
        sound = resample(sound[None], own, rate)[0]
    step = float(np.abs(sound).max(initial=0.0)) / FULL or 1.0 / FULL
    return np.round(sound / np.float32(step)).astype("<i2"), step


def _counted(
    pieces: Iterator[Piece], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[Piece]:
    for done, piece in enumerate(pieces, 1):
        yield piece
        if progress is not None:
            progress(done, total)


def _write(path: Path, pieces: Iterator[Piece]) -> dict[str, list[Any]]:
    """Write both files; the index last, so that an index means a complete file."""
    kept: dict[str, list[Any]] = {"samples": [], "steps": []}
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for samples, step in pieces:
                file.write(samples.tobytes())
                kept["samples"].append(len(samples))
                kept["steps"].append(step)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise output_error(error, path) from error
    commit(part, path)
    write_bytes_atomically(path.with_suffix(".json"), json.dumps(kept).encode())
    return kept


def _index_of(path: Path) -> dict[str, list[Any]] | None:
    """The index beside `path`; None where it does not describe a complete file."""
    try:
        kept: dict[str, list[Any]] = json.loads(path.with_suffix(".json").read_text())
        whole = 2 * sum(kept["samples"]) == path.stat().st_size and len(kept["samples"]) == len(kept["steps"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return kept if whole else None
