"""Recordings in one memory-mapped file of int16, and clean crops and noises drawn from it.

A corpus is two files: `{name}.i16` (all recordings end to end, mono, at one rate) and `{name}.json` (rate
and `[recording, start, samples]` rows). Knows nothing of corruption. What is held out is named by
recording, so the same list serves training, validation and scores.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from dacse_cli.errors import InputError
from dacse_cli.training.mix.signals import FULL_SCALE, Samples

INT16 = 32768.0
SILENCE = 3e-3
"""RMS of full scale below which a crop is drawn again: it is a pause."""


@dataclass(frozen=True)
class Corpus:
    """Recordings of one kind: `samples` [sum of S] int16, `rows` (recording, start, length) at `rate` Hz."""

    samples: NDArray[np.int16]
    rows: tuple[tuple[str, int, int], ...]
    rate: int

    def without(self, names: Collection[str]) -> Corpus:
        """The recordings whose names are not in `names`."""
        left_out = set(names)
        return Corpus(self.samples, tuple(row for row in self.rows if row[0] not in left_out), self.rate)

    def only(self, names: Collection[str]) -> Corpus:
        """The recordings whose names are in `names`."""
        kept = set(names)
        return Corpus(self.samples, tuple(row for row in self.rows if row[0] in kept), self.rate)

    def crop(self, samples: int, rng: np.random.Generator) -> Samples:
        """A crop [S] of a drawn recording; one that is too short lies at a drawn place between zeros."""
        _, start, length = self.rows[int(rng.integers(len(self.rows)))]
        crop = np.zeros(samples, np.float32)
        if length >= samples:
            start += int(rng.integers(length - samples + 1))
            crop[:] = self.samples[start : start + samples] / INT16
        else:
            place = int(rng.integers(samples - length + 1))
            crop[place : place + length] = self.samples[start : start + length] / INT16
        return crop


def build_corpus(
    name: str, recordings: Iterable[Path], root: Path, folder: Path, rate: int, speed: float = 1.0
) -> Corpus:
    """Decode `recordings` (named relative to `root`) to `folder`, mixed down to mono, at `rate` Hz.

    A `speed` of 1.1 plays them a tenth faster and higher: one speaker more for a small corpus.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, position = [], 0
    with open(folder / f"{name}.i16", "wb") as file:
        for path in recordings:
            sound, own_rate = sf.read(path, dtype="float32", always_2d=True)
            mono = soxr.resample(sound.mean(axis=1), own_rate * speed, rate)
            quantised = np.clip(np.round(mono * (INT16 - 1)), -INT16, INT16 - 1).astype("<i2")
            file.write(quantised.tobytes())
            rows.append([path.relative_to(root).as_posix(), position, len(quantised)])
            position += len(quantised)
    (folder / f"{name}.json").write_text(json.dumps({"rate": rate, "rows": rows}))
    return open_corpus(name, folder)


def open_corpus(name: str, folder: Path) -> Corpus:
    """The corpus that `build_corpus` wrote, mapped and not read."""
    try:
        index = json.loads((folder / f"{name}.json").read_text())
        samples = np.memmap(folder / f"{name}.i16", dtype="<i2", mode="r")
    except (OSError, ValueError) as error:
        raise InputError(f"no corpus {name} in {folder}: {error}", reason="no-corpus") from error
    return Corpus(
        samples, tuple((name, start, length) for name, start, length in index["rows"]), index["rate"]
    )


class Speech:
    """Clean crops from several corpora, each with its share, at drawn levels."""

    def __init__(
        self,
        corpora: Sequence[Corpus],
        shares: Sequence[float],
        level_db: float = -24.0,
        spread_db: float = 5.0,
    ) -> None:
        """`level_db` and `spread_db`: mean and deviation of a crop's RMS, dB of full scale."""
        self._corpora = tuple(corpora)
        self._shares = np.asarray(shares) / np.sum(shares)
        self._level_db, self._spread_db = level_db, spread_db

    def draw(self, samples: int, rng: np.random.Generator) -> Samples:
        """A clean crop [S] that is not a pause (20 tries)."""
        for _ in range(20):
            crop = self._corpora[int(rng.choice(len(self._corpora), p=self._shares))].crop(samples, rng)
            rms = float(np.sqrt(np.mean(np.square(crop))))
            if rms > SILENCE:
                break
        crop *= 10.0 ** (rng.normal(self._level_db, self._spread_db) / 20.0) / (rms + 1e-9)
        return crop * np.float32(min(1.0, FULL_SCALE / (np.abs(crop).max() + 1e-9)))


class NaturalNoise:
    """Crops of recorded noise, RMS 1; in about a third of all cases two recordings at once."""

    def __init__(self, corpus: Corpus, rng: np.random.Generator, second: float = 0.35) -> None:
        self._corpus, self._rng, self._second = corpus, rng, second

    def __call__(self, samples: int) -> Samples:
        """Noise [S]."""
        noise = _unit(self._corpus.crop(samples, self._rng))
        if self._rng.random() < self._second:
            gain = 10.0 ** (self._rng.uniform(-12.0, 0.0) / 20.0)
            noise = _unit(noise + gain * _unit(self._corpus.crop(samples, self._rng)))
        return noise


def _unit(signal: Samples) -> Samples:
    signal = signal - signal.mean()
    return np.asarray(signal / (signal.std() + 1e-6), dtype=np.float32)
