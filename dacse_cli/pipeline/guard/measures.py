"""How well an output fits its input, in a few numbers. Pure functions of frames.

The input is the speech plus noise, whatever the noise. So wherever the output is loud, in time and frequency,
the input must be at least about as loud; where the output is voiced, the input must repeat after the same
pitch period with about as much power, because noise adds no periodic power; and where the input is clearly
voiced, the output must not be silent. None of this measures how clean the output is.

In all functions `heard` is the input and `said` the output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dacse_cli.pipeline.guard.frames import Array, Frames

VOICED, VOICED_IN_NOISE = 0.25, 0.2
"""Share of a spectrum (cube root) in one row of harmonics from which on a frame counts as voiced, in an
output and in an input: white noise has 0.09, most of voiced speech 0.3 to 0.7, at 0 dB still 0.2 to 0.4."""
TONE = -0.6
"""A single tone is equally strong, with opposite sign, at half its period; a harmonic series is not."""
AUDIBLE_DB = 40.0
"""Sound this far below the loudest around it is not counted against an output."""
FLOOR = 1e-5
"""Band power below which nothing is audible: noise of about -60 dB of full scale."""
LOUD_DB = 25.0
"""dB range below an output's loudest level within which the output is judged."""
SPOKEN_DB = 15.0
"""dB range below the loudest nearby level within which an input's voiced frames count as speech."""
HOLE = 15
"""Frames for which the input may be silent (a lost packet) while the output goes on."""


@dataclass(frozen=True)
class Measures:
    """One window of an output compared with its input."""

    excess: float
    """Mean dB by which loud parts of the output stand above the input (more than 3, each at most 20)."""
    likeness: float
    """Correlation of band envelopes, -1 to 1; 0 where nothing is loud."""
    pitch: float
    """Mean share of the output's periodicity that the input has at the output's pitch, about 0 to 1."""
    voiced: int
    """Frames of the output from which `pitch` and `gain` are computed."""
    gain: float
    """dB of the output's voiced power over the input's power at the same period."""
    spoken: int
    """Frames of the input that are clearly voiced speech, from which `kept` is computed."""
    kept: float
    """dB of the output's power in these frames over the input's periodic power."""


def measure(heard: Frames, said: Frames, loudest: float) -> Measures:
    """Compare T frames of output and input. `loudest` is the input's band power near these frames."""
    floor = max(FLOOR, loudest * 10 ** (-AUDIBLE_DB / 10))
    pitch, voiced, gain = _voicing(heard, said, floor)
    kept, spoken = _kept(heard, said, loudest)
    return Measures(
        _excess(heard.bands, said.bands, floor),
        _likeness(heard.bands, said.bands, floor),
        pitch,
        voiced,
        gain,
        spoken,
        kept,
    )


def _excess(heard: Array, said: Array, floor: float) -> float:
    """dB over bands `[T, B]`, weighted by how loud the output is."""
    present = ~_holes(heard.max(axis=1) > floor)
    answer, given = (10 * np.log10(np.maximum(x[present], floor / 10)) for x in (said, heard))
    least = 10 * np.log10(max(said.max() * 10 ** (-LOUD_DB / 10), floor))
    weights = np.maximum(answer - least, 0)
    above = np.clip(answer - given - 3, 0, 20)
    return float((weights * above).sum() / max(weights.sum(), 1e-9))


def _holes(sounding: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Runs of at most `HOLE` silent frames with sound on both sides."""
    edges = np.flatnonzero(np.diff(sounding, prepend=True, append=True))
    holes = np.zeros(len(sounding), dtype=bool)
    for start, stop in zip(edges[::2], edges[1::2], strict=False):
        if start > 0 and stop < len(sounding) and stop - start <= HOLE:
            holes[start:stop] = True
    return holes


def _likeness(heard: Array, said: Array, floor: float) -> float:
    """Correlation over bands `[T, B]` of loudness (power^0.15) about its mean in each band."""
    if said.max() <= floor:
        return 0.0
    a, b = ((x + floor / 10) ** 0.15 for x in (said, heard))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-20))


def _voiced_lags(frames: Frames, least: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """For every frame the lag of its strongest periodicity, and whether that is a harmonic series."""
    lags = frames.harmonic.argmax(axis=1)
    best = frames.harmonic.max(axis=1)
    return lags, (best > least) & (frames.harmonic.min(axis=1) > TONE * best)


def _at(lagged: Array, lags: NDArray[np.intp]) -> Array:
    """The maximum of `[T, L]` over each frame's lag and its two neighbours, `[T]`."""
    t = np.arange(len(lags))
    near = [lagged[t, np.clip(lags + step, 0, lagged.shape[1] - 1)] for step in (-1, 0, 1)]
    best: Array = np.maximum.reduce(near)
    return best


def _voicing(heard: Frames, said: Frames, floor: float) -> tuple[float, int, float]:
    """`pitch`, `voiced` and `gain` of `Measures`."""
    lags, voiced = _voiced_lags(said, VOICED)
    voiced &= (said.power > said.power.max() * 10 ** (-LOUD_DB / 10)) & (said.power > floor)
    if not voiced.any():
        return 1.0, 0, 0.0
    shares = _at(heard.harmonic, lags)[voiced] / _at(said.harmonic, lags)[voiced]
    weights = np.sqrt(said.power[voiced])
    pitch = float((weights * shares).sum() / weights.sum())
    return (
        pitch,
        int(voiced.sum()),
        _decibels(_at(said.periodic, lags)[voiced], _at(heard.periodic, lags)[voiced]),
    )


def _kept(heard: Frames, said: Frames, loudest: float) -> tuple[float, int]:
    """`kept` and `spoken` of `Measures`."""
    lags, spoken = _voiced_lags(heard, VOICED_IN_NOISE)
    spoken &= heard.bands.max(axis=1) > max(FLOOR, loudest * 10 ** (-SPOKEN_DB / 10))
    if not spoken.any():
        return 0.0, 0
    return _decibels(said.power[spoken], _at(heard.periodic, lags)[spoken]), int(spoken.sum())


def _decibels(above: Array, below: Array) -> float:
    """Ratio of two sums of power, within +-60 dB."""
    ratio = max(float(above.sum()), 1e-12) / max(float(below.sum()), 1e-12)
    return float(np.clip(10 * np.log10(ratio), -60, 60))
