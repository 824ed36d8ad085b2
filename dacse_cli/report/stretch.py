"""The part of a file that is shown: the whole file, or its loudest stretch; and its samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.recording import open_recording

STEP = 0.1
"""Length of a step of a survey, in seconds."""


@dataclass(frozen=True)
class Survey:
    """Energy and extremes of a whole file in steps of `STEP` seconds, all channels together."""

    rate: int
    frames: int
    energy: NDArray[np.float64]
    """Mean square, [n]."""
    low: NDArray[np.float32]
    """Smallest sample, [n]."""
    high: NDArray[np.float32]

    @property
    def seconds(self) -> float:
        """Length of the file."""
        return self.frames / self.rate


def survey(path: Path) -> Survey:
    """Read all of `path` in constant memory. Raises `InputError`."""
    energy, low, high = [], [], []
    with open_recording(path) as reader:
        rate = reader.info.sample_rate
        step = max(1, round(STEP * rate))
        while (block := reader.read(step)).shape[1]:
            energy.append(float(np.mean(np.square(block, dtype=np.float64))))
            low.append(float(block.min()))
            high.append(float(block.max()))
        frames = reader.frames_read
    return Survey(rate, frames, np.array(energy), np.array(low, np.float32), np.array(high, np.float32))


def choose_start(energy: NDArray[np.float64], seconds: float, marks: tuple[float, ...] = ()) -> float:
    """Second at which a stretch of `seconds` begins: around the first of `marks`, else the loudest one.

    Power is limited to that of the loudest twentieth of the file, so that short bangs are not preferred.
    """
    width = max(1, round(seconds / STEP))
    last = len(energy) - width
    if last <= 0:
        return 0.0
    if marks:
        return float(min(last * STEP, max(0.0, marks[0] - seconds / 4)))
    heard = np.minimum(energy, np.quantile(energy, 0.95))
    sums = np.convolve(heard, np.ones(width), mode="valid")
    return float(np.argmax(sums)) * STEP


def read_mono(path: Path, start: float, seconds: float) -> tuple[NDArray[np.float32], int]:
    """Mean of the channels `[S]` and the sample rate, from second `start` on. Raises `InputError`."""
    with open_recording(path) as reader:
        rate = reader.info.sample_rate
        if start:
            reader.skip(round(start * rate))
        samples = reader.read(round(seconds * rate))
    return np.nan_to_num(samples.mean(axis=0, dtype=np.float32)), rate
