"""A recording in memory as the metrics want it: one channel, any rate, checked for numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dacse_cli.errors import InputError
from dacse_cli.evaluation.metric import Samples

BLOCK = 1 << 18
"""Samples per channel read at once."""


class Recording:
    """One file, its channels averaged; resampled once for every rate asked for."""

    def __init__(self, path: Path) -> None:
        """Read all of `path`. Raises `InputError` for a file that is not audio, or holds NaN or infinity."""
        from dacse_cli.audio.recording import open_recording

        blocks = []
        with open_recording(path) as reader:
            self.rate = reader.info.sample_rate
            while (block := reader.read(BLOCK)).shape[1]:
                blocks.append(block.mean(axis=0, dtype=np.float32))
            self.warning = reader.warning()
            """How the file is not whole, in one line, or None."""
        samples: Samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
        if not np.isfinite(samples).all():
            raise InputError(f"{path} holds samples that are not numbers", reason="bad-samples")
        self._at: dict[int, Samples] = {self.rate: samples}

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return float(self._at[self.rate].size / self.rate)

    def at(self, rate: int) -> Samples:
        """The samples [S] at `rate`; the same array every time."""
        if rate not in self._at:
            from dacse_cli.audio.resample import resample

            self._at[rate] = resample(self._at[self.rate][None], self.rate, rate)[0]
        return self._at[rate]


def fit(samples: Samples, length: int) -> Samples:
    """`samples` [S] cut at the end or filled with zeros to `length`."""
    if samples.size >= length:
        return samples[:length]
    return np.pad(samples, (0, length - samples.size))
