"""What a caller hands to the library, a path or samples, as a checked source. Knows no models."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from dacse_cli.audio.info import AudioScan
from dacse_cli.audio.probe import scan
from dacse_cli.errors import InputError, UsageError
from dacse_cli.pipeline.task.sources import ArraySource, FileSource, Signal, Source

Audio: TypeAlias = "str | PathLike[str] | ArrayLike"
MAX_CHANNELS = 64


def source_of(audio: Audio, sample_rate: int | None) -> Source:
    """A path, or samples `[S]` or `[C, S]` at `sample_rate`. Raises `InputError`, `UsageError`."""
    if isinstance(audio, (str, PathLike)):
        return file_source(Path(audio))[0]
    if sample_rate is None or not 1000 <= sample_rate <= 768_000:
        raise UsageError(f"samples need their sample rate, 1000 to 768000 Hz, not {sample_rate}")
    samples = np.atleast_2d(np.asarray(audio, dtype=np.float32))
    if samples.ndim != 2 or not 1 <= samples.shape[0] <= MAX_CHANNELS:
        raise UsageError(f"samples must have shape [S] or [channels, S], not {list(samples.shape)}")
    _check(samples.shape[1], int((~np.isfinite(samples)).sum()))
    return ArraySource(samples, Signal.of_array(samples, sample_rate))


def file_source(path: Path) -> tuple[FileSource, AudioScan]:
    """A file and what decoding all of it has shown. Raises `InputError`."""
    found = scan(path)
    _check(found.frames, found.bad_samples)
    return FileSource(path, Signal.of_scan(found)), found


def _check(frames: int, bad_samples: int) -> None:
    if bad_samples:
        raise InputError(f"{bad_samples:,} samples are NaN or infinite", reason="nan")
    if not frames:
        raise InputError("there are no samples in it", reason="no-samples")
