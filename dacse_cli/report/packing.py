"""Versions of one stretch of sound -> what a player needs: pictures on one scale, previews, levels, gains.

Works on samples only; the report packs two versions, before and after, `dacse serve` one per strength.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.loudness import FLOOR, loudness
from dacse_cli.report import png, preview, spectrum, waveform
from dacse_cli.report.budget import Budget

Side: TypeAlias = tuple[NDArray[np.float32], int]
"""Mono samples `[S]` and their rate."""
COMFORT = -20.0
"""Loudness of previews, in LUFS, if their peaks allow it."""


def levels(sides: Sequence[Side]) -> dict[str, Any]:
    """`loudness` in LUFS, None for sides too quiet to measure, and the `gains` in dB that equalise it."""
    measured = [loudness(samples, rate) for samples, rate in sides]
    known = [None if level <= FLOOR else level for level in measured]
    peaks = [float(np.abs(samples).max(initial=0.0)) for samples, _ in sides]
    return {
        "loudness": [None if level is None else round(level, 2) for level in known],
        "gains": [round(gain, 2) for gain in matching_gains(known, peaks)],
    }


def matching_gains(measured: Sequence[float | None], peaks: Sequence[float]) -> list[float]:
    """Gains in dB that bring all sides to one loudness in LUFS, `COMFORT` or what their peaks allow.

    A side without a loudness is played as it is.
    """
    limits = [
        level - 20 * math.log10(peak)
        for level, peak in zip(measured, peaks, strict=True)
        if level is not None and peak > 0
    ]
    goal = min([COMFORT, *limits])
    return [0.0 if level is None else goal - level for level in measured]


def pack(sides: Sequence[Side], budget: Budget) -> dict[str, Any]:
    """`sides`, each with `audio` (Opus), `picture` (PNG) and `wave`; and `ticks` of the frequency axis."""
    top = min(24_000.0, max(rate for _, rate in sides) / 2)
    powers = [spectrum.power(samples, rate, budget.columns, budget.rows, top) for samples, rate in sides]
    loudest = max(float(np.quantile(power, 0.999)) for power in powers)
    packed: list[dict[str, Any]] = [
        {
            "audio": _base64(preview.encode(samples, rate)),
            "picture": _base64(png.encode(spectrum.shades(power, loudest), spectrum.LEVELS)),
            "wave": waveform.outline(samples, budget.columns),
        }
        for (samples, rate), power in zip(sides, powers, strict=True)
    ]
    return {"sides": packed, "ticks": spectrum.ticks(top)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
