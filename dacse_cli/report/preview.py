"""Samples -> a few kilobytes that a browser plays: Opus in Ogg, mono."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from dacse_cli.audio.resample import resample
from dacse_cli.config import OPUS_RATES
from dacse_cli.report.budget import bit_rate

_LEAST_BITS, _MOST_BITS = 6_000, 256_000
"""Bits per second of libsndfile's compression levels 1 and 0 for one channel."""


def preview_rate(rate: int) -> int:
    """The lowest Opus rate that is not below `rate`, else the highest one."""
    return next((known for known in OPUS_RATES if known >= rate), OPUS_RATES[-1])


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
