"""Integrated loudness after ITU-R BS.1770, by pyloudnorm (which comes with `dacse[descript]`)."""

from __future__ import annotations

import importlib.util

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import UsageError

FLOOR = -70.0
"""LUFS of what is too quiet to measure: the standard's absolute gate."""
_SHORTEST = 0.5
"""Seconds; a shorter recording is followed by silence, as Descript's package does it."""


def require_meter() -> None:
    """Raises `UsageError` where pyloudnorm is not installed."""
    if importlib.util.find_spec("pyloudnorm") is None:
        raise UsageError(
            "Descript's .dac files hold a loudness, and pyloudnorm, which measures it, is not installed",
            hint="pip install 'dacse[descript]', or choose another --format.",
        )


def loudness(samples: NDArray[np.float32], sample_rate: int) -> float:
    """LUFS of one channel `[S]`. Raises `UsageError` where pyloudnorm is not installed."""
    require_meter()
    import pyloudnorm

    missing = int(_SHORTEST * sample_rate) - len(samples)
    padded = np.pad(samples, (0, max(0, missing)))
    if not padded.any():
        return FLOOR
    return max(FLOOR, float(pyloudnorm.Meter(sample_rate).integrated_loudness(padded)))
