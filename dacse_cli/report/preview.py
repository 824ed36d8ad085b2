"""Samples -> a few kilobytes that a browser plays: Opus in Ogg, mono."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from dacse_cli.audio.resample import resample
from dacse_cli.report.budget import bit_rate

RATES = (8000, 12_000, 16_000, 24_000, 48_000)
"""Samples a second that Opus knows."""
_LEAST_BITS, _MOST_BITS = 6_000, 256_000
"""What libsndfile's compression levels 1 and 0 mean for one channel."""


def preview_rate(rate: int) -> int:
    """The lowest Opus rate that loses nothing of `rate`, else the highest there is."""
    return next((known for known in RATES if known >= rate), RATES[-1])


def encode(samples: NDArray[np.float32], rate: int) -> bytes:
    """`samples` [S] as an Ogg Opus file of the same length."""
    target = preview_rate(rate)
    sound = resample(samples[None], rate, target)[0]
    level = (_MOST_BITS - bit_rate(target)) / (_MOST_BITS - _LEAST_BITS)
    out = io.BytesIO()
    with soundfile.SoundFile(
        out, "w", target, 1, format="OGG", subtype="OPUS", compression_level=level
    ) as file:
        file.write(sound)
    return out.getvalue()
