"""Facts about a recording before work starts: from its header, and from a full decode."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.info import AudioInfo, AudioScan
from dacse_cli.audio.read import BLOCK
from dacse_cli.audio.recording import Recording, open_recording
from dacse_cli.errors import InputError

__all__ = ["AudioInfo", "AudioScan", "probe", "scan"]


MAX_SECONDS = 100 * 3600.0
"""Most seconds of audio in one file: a small file can claim more than any disk can hold."""


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """The header of `path`, checked; raises `InputError` as `Source` does.

    Reads both ends of a file, and all of an MP3 that does not count its frames; decodes nothing.
    """
    with open_recording(path, thorough=False) as reader:
        return reader.info


def scan(
    path: str | os.PathLike[str], on_progress: Callable[[float], None] = lambda seconds: None
) -> AudioScan:
    """Decode all of `path` in constant memory; raises `InputError` as `Source` does.

    What can be decoded counts as there: a cut or damaged file gets a warning, not an error. NaN and infinite
    samples are counted; the caller decides about them. `on_progress` gets the seconds decoded so far.
    """
    with open_recording(path, reading=lambda: on_progress(0.0)) as reader:
        channels = reader.info.channels
        peak, bad = 0.0, 0
        leaders, loud = (0,) * channels, np.zeros(channels, bool)
        while (block := reader.read(BLOCK)).shape[1]:
            block_peak, block_bad = _peak(block)
            peak, bad = max(peak, block_peak), bad + block_bad
            leaders = _refine(leaders, block)
            loud |= block.any(axis=1)
            on_progress(_check_length(reader))
        return AudioScan(
            info=_counted(reader),
            frames=reader.frames_read,
            peak=peak,
            bad_samples=bad,
            duplicates=leaders,
            silent=tuple(bool(quiet) for quiet in ~loud),
            warning=reader.warning(),
        )


def _check_length(reader: Recording) -> float:
    """Seconds read so far. Raises `InputError` where they are more than `MAX_SECONDS`."""
    seconds = reader.frames_read / reader.info.sample_rate
    if seconds > MAX_SECONDS:
        hours = MAX_SECONDS / 3600
        raise InputError(f"more than {hours:.0f} hours of sound in one file", reason="too-long")
    return seconds


def _counted(reader: Recording) -> AudioInfo:
    """The header, with the number of samples counted where it gives none or too few."""
    there, info = reader.frames_read, reader.info
    if not there:
        raise InputError("no samples in it", reason="no-samples")
    return replace(info, frames=there) if not reader.counted or there > info.frames else info


def _peak(block: NDArray[np.float32]) -> tuple[float, int]:
    """Largest absolute finite sample and number of samples that are not finite, of `[C, n]`."""
    peak = float(max(block.max(), -block.min()))
    if np.isfinite(peak):
        return peak, 0
    finite = np.isfinite(block)
    return float(np.abs(block[finite]).max(initial=0.0)), int(block.size - finite.sum())


def _refine(leaders: tuple[int, ...], block: NDArray[np.float32]) -> tuple[int, ...]:
    """The first channel equal to each channel so far, given that up to now it was `leaders`."""
    return tuple(
        next(
            k for k in range(c + 1) if leaders[k] == leader and (k == c or np.array_equal(block[k], block[c]))
        )
        for c, leader in enumerate(leaders)
    )
