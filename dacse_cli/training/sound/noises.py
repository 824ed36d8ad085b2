"""Natural noise from recordings: random positions; short ones are repeated without an audible seam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dacse_cli.errors import InputError
from dacse_cli.training.sound.level import Samples, power
from dacse_cli.training.sound.recordings import Reader, Recording

SEAM = 0.05
"""Seconds of cross-fade where a short recording is repeated, at most a quarter of its length."""
QUIETEST = 1e-4
"""RMS of full scale below which a part is a pause and not noise: another one is drawn."""
TRIES = 10
"""Parts drawn before the recordings count as unusable."""


class RecordedNoise:
    """Noise of any length from `recordings`; appends what it draws to `drawn`."""

    def __init__(
        self,
        recordings: Sequence[Recording],
        reader: Reader,
        rng: np.random.Generator,
        drawn: list[dict[str, Any]],
    ) -> None:
        self._recordings, self._reader, self._rng, self._drawn = recordings, reader, rng, drawn

    def __call__(self, samples: int) -> Samples:
        """Noise [S] from one recording. Raises `InputError` if ten parts in turn are silent or damaged."""
        failure: InputError | None = None
        for _ in range(TRIES):
            recording = self._recordings[int(self._rng.integers(len(self._recordings)))]
            own = self._reader.length(recording)
            start = int(self._rng.integers(max(1, own - samples + 1)))
            try:
                noise = self._reader.read(recording, start, min(samples, own))
            except InputError as error:
                failure = error
                continue
            if power(noise) > QUIETEST**2:
                self._drawn.append({"file": recording.name, "start": start, "samples": len(noise)})
                return repeat(noise, samples, round(SEAM * self._reader.rate))
        raise failure or InputError(f"{TRIES} parts of noise in turn are silent", reason="silent")


def repeat(noise: Samples, samples: int, seam: int) -> Samples:
    """`noise` [n] again and again until there are `samples`; neighbours overlap by `seam` samples.

    Faded with sine and cosine: the powers of two unrelated noises then add up to that of one.
    """
    seam = min(seam, len(noise) // 4)
    if len(noise) >= samples:
        return noise[:samples]
    step = len(noise) - seam
    turns = -(-(samples - seam) // step)
    phase = (np.arange(seam, dtype=np.float32) + np.float32(0.5)) * np.float32(np.pi / 2 / max(1, seam))
    out = np.zeros(turns * step + seam, np.float32)
    for turn in range(turns):
        piece = noise.copy()
        if turn:
            piece[:seam] *= np.sin(phase)
        if turn < turns - 1:
            piece[step:] *= np.cos(phase)
        out[turn * step : turn * step + len(noise)] += piece
    return out[:samples]
