"""Gains that make all sides equally loud when they are played."""

from __future__ import annotations

import math
from collections.abc import Sequence

COMFORT = -20.0
"""LUFS at which previews are played where their peaks allow it."""


def matching_gains(loudness: Sequence[float | None], peaks: Sequence[float]) -> list[float]:
    """Gains in dB that bring all sides to one loudness, `COMFORT` or what their peaks allow.

    A side without a loudness is played as it is.
    """
    limits = [
        level - 20 * math.log10(peak)
        for level, peak in zip(loudness, peaks, strict=True)
        if level is not None and peak > 0
    ]
    goal = min([COMFORT, *limits])
    return [0.0 if level is None else goal - level for level in loudness]
