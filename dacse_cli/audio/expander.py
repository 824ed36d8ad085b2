"""Downward expander: sound far below the level of the surrounding speech is attenuated, without delay."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
FRAMES_A_SECOND = 100
STARTS_BELOW = 20.0
"""dB below the speech at which lowering starts ..."""
FULL_BELOW = 35.0
"""... and at which it is complete."""
DEPTH = 18.0
"""dB by which a pause is lowered at most."""
_FORGETS = 0.02
"""dB per frame by which the reference level of speech decays: 2 dB per second."""
_CLOSES = 1.0
"""dB per frame by which the gain falls; it rises one frame early, so that no onset is cut."""
_SILENT = -120.0


class Expander:
    """Samples `[C, n]` in, as many out once `finish` has been called; all channels get one gain."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._frame = max(1, sample_rate // FRAMES_A_SECOND)
        self._rest = np.zeros((channels, 0), np.float32)
        self._waiting = np.zeros((channels, 0), np.float32)
        """The frame before `_rest`, whose gain depends on that of the next."""
        self._speech = -math.inf
        self._wanted = self._gain = 0.0  # dB: of the waiting frame; at its start

    def push(self, samples: Samples) -> Samples:
        """Add `samples` `[C, n]`; returns the finished samples `[C, m]`."""
        joined = np.concatenate([self._rest, samples], axis=1)
        whole = joined.shape[1] // self._frame * self._frame
        self._rest = joined[:, whole:]
        frames = [joined[:, at : at + self._frame] for at in range(0, whole, self._frame)]
        return self._joined([self._next(frame) for frame in frames])

    def finish(self) -> Samples:
        """The rest, `[C, m]`; nothing may be pushed afterwards."""
        last = [self._next(self._rest)] if self._rest.shape[1] else []
        return self._joined([*last, self._lowered(self._waiting, self._wanted)])

    def _joined(self, pieces: list[Samples]) -> Samples:
        return np.concatenate(pieces, axis=1) if pieces else self._rest[:, :0]

    def _next(self, frame: Samples) -> Samples:
        """Add a frame and return the previous one, with a gain that leads over to `frame`."""
        wanted = self._wanted_gain(frame)
        out = self._lowered(self._waiting, max(self._wanted, wanted))
        self._waiting, self._wanted = frame, wanted
        return out

    def _wanted_gain(self, frame: Samples) -> float:
        power = float(np.square(frame, dtype=np.float64).mean(axis=1).max())
        level = max(_SILENT, 10 * math.log10(power)) if power else _SILENT
        self._speech = max(level, self._speech - _FORGETS)
        below = self._speech - level
        return -DEPTH * min(1.0, max(0.0, (below - STARTS_BELOW) / (FULL_BELOW - STARTS_BELOW)))

    def _lowered(self, frame: Samples, wanted: float) -> Samples:
        end = max(wanted, self._gain - _CLOSES)
        if self._gain == end == 0.0:
            return frame
        ramp = np.linspace(self._gain, end, frame.shape[1], endpoint=False, dtype=np.float32)
        self._gain = end
        return frame * np.power(np.float32(10), ramp / 20)
