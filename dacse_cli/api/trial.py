"""A recording's noisiest seconds, enhanced in several strengths: the library call behind `dacse try`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dacse_cli.api.rendering import render
from dacse_cli.api.writing import refuse_input
from dacse_cli.config import PROFILES, SoundOptions
from dacse_cli.report.stretch import STEP, survey

if TYPE_CHECKING:
    from dacse_cli.api.enhancer import Enhancer

SPEECH_ABOVE = 4.0
"""A stretch contains speech if its louder parts have this many times the energy of its noise (6 dB)."""
_QUIET, _LOUD = 0.2, 0.9
"""Quantiles of a stretch's energy that are taken as its noise and as its louder parts."""


ORIGINAL = "original"


@dataclass(frozen=True)
class Trial:
    """A stretch of a recording in several strengths. Files are WAV; `made` maps a strength to its file."""

    start: float
    seconds: float
    original: Path
    made: dict[str, Path]


def noisiest_start(energy: NDArray[np.float64], seconds: float) -> float:
    """Second at which the noisiest stretch of `seconds` with speech in it begins.

    `energy` `[n]` is the mean square of every `STEP` seconds. A stretch's noise is the energy of its quieter
    parts. If no stretch has speech above its noise, the noisiest of all is taken.
    """
    width = max(1, round(seconds / STEP))
    if len(energy) <= width:
        return 0.0
    every = max(1, round(1 / STEP))
    stretches = np.lib.stride_tricks.sliding_window_view(energy, width)[::every]
    noise, loud = np.quantile(stretches, (_QUIET, _LOUD), axis=1)
    spoken = loud > SPEECH_ABOVE * noise
    return float(np.argmax(np.where(spoken, noise, -1.0) if spoken.any() else noise) * every * STEP)


def trial_files(folder: Path) -> dict[str, Path]:
    """The files that a trial writes into `folder`: the original's, then one for every strength."""
    return {name: folder / f"{name}.wav" for name in (ORIGINAL, *PROFILES)}


def try_out(enhancer: Enhancer, source: Path, folder: Path, seconds: float = 10.0) -> Trial:
    """Enhance the noisiest `seconds` of `source` and write every strength into `folder`.

    The models run once. Raises `InputError`, `OutputError`, and `UsageError` where `source` is one of the
    files to be written.
    """
    from dacse_cli.api.enhanced import Enhanced
    from dacse_cli.audio.recording import open_recording

    refuse_input(source, trial_files(folder).values())
    start = noisiest_start(survey(source).energy, seconds)
    with open_recording(source) as reader:
        rate = reader.info.sample_rate
        if start:
            reader.skip(round(start * rate))
        original = np.nan_to_num(reader.read(round(seconds * rate)))
    enhanced = enhancer.enhance(original, rate).samples
    files = trial_files(folder)
    before = Enhanced(original, rate).save(files.pop(ORIGINAL))
    made = {
        strength: Enhanced(render(original, enhanced, rate, SoundOptions(profile=strength)), rate).save(file)
        for strength, file in files.items()
    }
    return Trial(start, original.shape[1] / rate, before, made)
