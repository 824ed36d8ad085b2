"""Guides for training: clean rows as a generative model would write them, made by a codec and damaged.

In use the guide is the speech that a language model or SET has generated. Generating it for every step would
take longer than the step, so a guide is the clean row through the codec: some codebooks may be missing, some
frames wrong, and all of it a frame late or early.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dacse_cli.audio.resample import resample
from dacse_cli.errors import UsageError
from dacse_cli.interfaces import Codec, Codes
from dacse_cli.training.mask.recipe import RATE
from dacse_cli.training.runs.chance import numpy_rng

GUIDED = 0.5
"""Share of rows with a guide: the network is to work without one, too."""
ALL_BOOKS = 0.5
"""Share of guides with all codebooks; the others keep a random number of the first ones."""
NO_WRONG_FRAMES = 0.3
"""Share of guides without wrong frames,"""
MOST_WRONG_FRAMES = 0.5
"""and the largest share of wrong frames in the others."""

Samples = NDArray[np.float32]


class SimulatedGuides:
    """Noisy and clean rows `[B, S]` at 16 kHz -> guides of some rows."""

    def __init__(self, codec: Codec, seed: int) -> None:
        """Raises `UsageError` for a codec without codes."""
        units = codec.spec.units
        if not isinstance(units, Codes):
            raise UsageError(f"{codec.spec.name} has no codes: guides need a codec with codebooks")
        self._codec, self._books, self._seed = codec, units.books, seed

    def __call__(self, noisy: Tensor, clean: Tensor, batch: int) -> dict[int, Tensor]:
        """Guides `[S]` by row; the same at every call with the same batch number."""
        found = {}
        for row in range(len(clean)):
            rng = numpy_rng(self._seed, batch, row)
            if rng.random() < GUIDED:
                made = self.guide(clean[row].cpu().numpy(), noisy[row].cpu().numpy(), rng)
                found[row] = torch.from_numpy(made).to(clean.device)
        return found

    def guide(self, clean: Samples, noisy: Samples, rng: np.random.Generator) -> Samples:
        """The guide `[S]` of one clean row `[S]`.

        Wrong frames have the codes of the noisy row, or of another frame of the clean one.
        """
        rate = self._codec.spec.sample_rate
        codes, wrong = self._codec.encode(resample(np.stack([clean, noisy]), RATE, rate))
        books = self._books if rng.random() < ALL_BOOKS else int(rng.integers(1, self._books + 1))
        share = 0.0 if rng.random() < NO_WRONG_FRAMES else rng.uniform(0, MOST_WRONG_FRAMES)
        if rng.random() < 0.5:
            wrong = rng.permutation(codes, axis=1)
        replaced = rng.random(codes.shape[1]) < share
        damaged = np.where(replaced, wrong, codes)[:books]
        samples = resample(self._codec.decode(damaged[None]), rate, RATE)[0]
        moved = int(rng.integers(-1, 2)) * round(RATE / self._codec.spec.frame_rate)
        return _moved(samples, moved, len(clean))


def _moved(samples: Samples, later: int, length: int) -> Samples:
    """`length` samples, `later` samples later (negative: earlier), zeros where there are none."""
    padded = np.pad(samples[max(0, -later) :], (max(0, later), length))
    return padded[:length]
