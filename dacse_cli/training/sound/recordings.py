"""Recordings as files: their headers, and any part of one as mono samples at one rate.

A part equals the same part of the whole recording resampled, wherever it lies: it is read with a margin that
is a whole number of samples at both rates.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from dacse_cli.audio.info import resampled_length
from dacse_cli.audio.probe import probe
from dacse_cli.audio.read import AudioReader
from dacse_cli.audio.resample import resample
from dacse_cli.errors import InputError
from dacse_cli.training.sound.level import Samples

MARGIN = 0.02
"""Seconds read before and after a part, for the resampling filter; its length is a few milliseconds."""
BLOCK = 4096
"""Bytes at the beginning, middle and end of a file that `fingerprint` reads."""
Files: TypeAlias = Sequence[tuple[str, Path]]
"""(name, path) of files; the name identifies a file in manifests and splits."""


@dataclass(frozen=True)
class Recording:
    """A file that can be read. `name` identifies it in manifests and splits."""

    name: str
    path: Path
    frames: int
    """Samples per channel at its own rate."""
    sample_rate: int
    channels: int

    def samples_at(self, rate: int) -> int:
        """Its length at `rate` Hz."""
        return resampled_length(self.frames, self.sample_rate, rate)

    @property
    def speaker(self) -> str:
        """The first folder of its name; a file without a folder counts as a separate speaker."""
        return self.name.split("/")[0]


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used, and why."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"skipped {self.path}: {self.message}"


class Reader(Protocol):
    """Parts of recordings as samples at one rate."""

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """The recordings it was made for."""

    @property
    def rate(self) -> int:
        """Sample rate of all parts, Hz."""

    def length(self, recording: Recording) -> int:
        """Samples of the whole recording at `rate`."""

    def read(self, recording: Recording, start: int, samples: int) -> Samples:
        """Samples `start` to `start + samples` [S] at `rate`. Raises `InputError`."""


@dataclass(frozen=True)
class FromFiles:
    """A `Reader` that opens the file for every part."""

    rate: int
    recordings: tuple[Recording, ...] = ()

    def length(self, recording: Recording) -> int:
        """Samples of the whole recording at `rate`."""
        return recording.samples_at(self.rate)

    def read(self, recording: Recording, start: int, samples: int) -> Samples:
        """Samples `start` to `start + samples` [S] at `rate`. Raises `InputError`."""
        return read_part(recording, start, samples, self.rate)


def look(files: Iterable[tuple[str, Path]]) -> tuple[tuple[Recording, ...], tuple[Refused, ...]]:
    """Read the headers of `(name, path)`: recordings sorted by name, and files that are not recordings.

    Names that occur twice are replaced by the whole path.
    """
    listed = list(files)
    often = Counter(name for name, _ in listed)
    found, refused = [], []
    for name, path in listed:
        try:
            info = probe(path)
        except InputError as error:
            refused.append(Refused(path, error.message))
            continue
        unique = path.as_posix() if often[name] > 1 else name
        found.append(Recording(unique, path, info.frames, info.sample_rate, info.channels))
    return tuple(sorted(found, key=lambda recording: recording.name)), tuple(refused)


def digest(recordings: Iterable[Recording]) -> str:
    """A digest of the names, headers and contents of `recordings`, independent of their location."""
    facts = [(r.name, r.frames, r.sample_rate, r.channels, fingerprint(r.path)) for r in recordings]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def fingerprint(path: Path) -> str:
    """A digest of a file's contents: its size and a hash of its beginning, middle and end.

    Equal for copies, whatever their times; different for two recordings of equal length. Raises `InputError`.
    """
    sha = hashlib.sha256()
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            for place in (0, max(0, size // 2 - BLOCK // 2), max(0, size - BLOCK)):
                file.seek(place)
                sha.update(file.read(BLOCK))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", reason="unreadable") from error
    return f"{size}-{sha.hexdigest()[:16]}"


def read_part(
    recording: Recording, start: int, samples: int, rate: int, *, channel: int | None = None
) -> Samples:
    """Samples `start` to `start + samples` [S] of `recording` at `rate` Hz, the mean of all channels or one.

    Raises `InputError`, with reason `truncated` where the file holds less than its header says and
    `bad-samples` for NaN and infinity.
    """
    own, unit_in, unit_out = _units(recording.sample_rate, rate)
    margin = int(np.ceil(MARGIN * own / unit_in))
    first = max(0, start // unit_out - margin)
    last = -(-(start + samples) // unit_out) + margin
    with AudioReader(recording.path, frames=recording.frames) as reader:
        reader.skip(first * unit_in)
        sound = reader.read((last - first) * unit_in)  # [C, n]
    mono = sound.mean(axis=0, keepdims=True) if channel is None else sound[channel : channel + 1]
    if not np.isfinite(mono).all():
        raise InputError(
            f"{recording.path} contains samples that are not finite numbers", reason="bad-samples"
        )
    begin = start - first * unit_out
    part = resample(mono, own, rate)[0, begin : begin + samples]
    if len(part) < samples:
        raise InputError(f"{recording.path} is shorter than its header says", reason="truncated")
    return np.ascontiguousarray(part, np.float32)


def _units(own: int, rate: int) -> tuple[int, int, int]:
    """The recording's rate, and the shortest time that is whole in samples at it and at `rate`, in both."""
    divisor = gcd(own, rate)
    return own, own // divisor, rate // divisor
