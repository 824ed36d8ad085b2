"""Natural noise from recordings: drawn places, short ones repeated without an audible seam."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dacse_cli.errors import InputError
from dacse_cli.training.mix.recipes import Drawn
from dacse_cli.training.mix.signals import Samples, power
from dacse_cli.training.mix.sources import Recording, read_part

SEAM = 0.05
"""Seconds of cross-fade where a short recording starts again, at most a quarter of it."""
QUIETEST = 1e-4
"""RMS of full scale below which a part is no noise but a pause: another one is drawn."""
TRIES = 10


class RecordedNoise:
    """`DrawNoise` from `recordings` at `rate` Hz; appends what it draws to `drawn["noises"]`."""

    def __init__(
        self, recordings: Sequence[Recording], rate: int, rng: np.random.Generator, drawn: list[Drawn]
    ) -> None:
        self._recordings, self._rate, self._rng, self._drawn = recordings, rate, rng, drawn

    def __call__(self, samples: int) -> Samples:
        """Noise [S] from one recording. Raises `InputError` if ten draws in turn are silent or damaged."""
        failure: InputError | None = None
        for _ in range(TRIES):
            recording = self._recordings[int(self._rng.integers(len(self._recordings)))]
            own = recording.samples_at(self._rate)
            start = int(self._rng.integers(max(1, own - samples + 1)))
            try:
                noise = read_part(recording, start, min(samples, own), self._rate)
            except InputError as error:
                failure = error
                continue
            if power(noise) > QUIETEST**2:
                self._drawn.append({"file": recording.name, "start": start, "samples": len(noise)})
                return repeat(noise, samples, round(SEAM * self._rate))
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
