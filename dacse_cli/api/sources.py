"""The input of a library call, a path or an array, as a checked recording."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dacse_cli.audio.info import AudioScan
from dacse_cli.audio.probe import scan
from dacse_cli.audio.source import MAX_CHANNELS
from dacse_cli.config import MAX_RATE, MIN_RATE
from dacse_cli.errors import UsageError
from dacse_cli.interfaces import Samples
from dacse_cli.numeric import is_whole, plain_whole
from dacse_cli.pipeline.request.scans import check_samples, check_scan
from dacse_cli.pipeline.task.reading.sources import ArraySource, FileSource, Signal, Source

Audio: TypeAlias = "str | PathLike[str] | ArrayLike"


def name_of(argument: str, value: object) -> str:
    """A model's or a codec's name, or a folder as a path. Raises `UsageError`."""
    try:
        name = fspath(value)  # type: ignore[call-overload]
    except TypeError:
        name = None
    if not isinstance(name, str):
        raise UsageError(f"`{argument}` must be a name or a folder, not {type(value).__name__}")
    return name


def source_of(audio: Audio, sample_rate: int | None) -> Source:
    """A path or samples `[S]` or `[C, S]` as a checked recording.

    Raises `InputError` for audio that cannot be used, `UsageError` for values that are not audio.
    """
    if isinstance(audio, (str, PathLike)):
        return file_source(Path(audio))[0]
    rate = checked_rate(sample_rate)
    samples = np.atleast_2d(full_scale(np.asarray(audio)))
    if samples.ndim != 2 or not 1 <= samples.shape[0] <= MAX_CHANNELS:
        turned = samples.ndim == 2 and 1 <= samples.shape[1] <= MAX_CHANNELS
        raise UsageError(
            f"samples must have shape [S] or [channels, S], not {list(samples.shape)}"
            + (": did you mean samples.T?" if turned else "")
        )
    C, S = samples.shape
    check_samples(S, int((~np.isfinite(samples)).sum()), C)
    return ArraySource(samples, Signal.of_array(samples, rate))


def checked_rate(sample_rate: object) -> int:
    """A sample rate as `int`; it may be a whole number of any type. Raises `UsageError`."""
    rate = plain_whole(sample_rate)
    if not is_whole(rate, MIN_RATE, MAX_RATE):
        limits = f"a whole number from {MIN_RATE} to {MAX_RATE} Hz"
        raise UsageError(f"samples need their sample_rate, {limits}, not {sample_rate!r:.40}")
    return rate


def full_scale(samples: NDArray[Any]) -> Samples:
    """Float32 samples with a full scale of 1: signed integers are divided by the full scale of their type.

    Raises `UsageError` for other kinds of values.
    """
    if samples.dtype.kind == "i":
        scaled: Samples = (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
        return scaled
    if samples.dtype.kind != "f" and samples.size:
        raise UsageError(f"samples must be floats or signed integers, not {samples.dtype}")
    return samples.astype(np.float32, copy=False)


def file_source(path: Path) -> tuple[FileSource, AudioScan]:
    """A file as a recording, and the facts from reading it once. Raises `InputError`."""
    found = scan(path)
    check_scan(found)
    return FileSource(path, Signal.of_scan(found)), found
