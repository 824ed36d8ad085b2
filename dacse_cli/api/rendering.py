"""Another strength, loudness, rate or format of an enhanced recording, without running a model.

Enhancing fully (`mix=1`, `profile="normal"`, no `loudness`) is the expensive part and depends on none of
these. The results of this module equal, sample for sample, those of `Enhancer` with the same options.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dacse_cli.api.sources import file_source
from dacse_cli.api.writing import refuse_input, whole_files
from dacse_cli.config import SoundOptions
from dacse_cli.errors import UsageError
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.open import open_sink
from dacse_cli.pipeline.task.reading.sources import ArraySource, Signal, Source
from dacse_cli.pipeline.task.recording import open_task_recording
from dacse_cli.pipeline.task.writing.sinks import ArraySink, Sink, Written

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Rendered:
    """A written file, and the warnings about it."""

    path: Path
    warnings: list[str]


def render(original: Samples, enhanced: Samples, sample_rate: int, sound: SoundOptions) -> Samples:
    """The recording `[C, S]` that `sound` asks for, from the original and the fully enhanced one `[C, S]`.

    Raises `UsageError` if their shapes differ.
    """
    source, sink = ArraySource(original, Signal.of_array(original, sample_rate)), ArraySink()
    _write(source, enhanced, sink, replace(sound, rate=sound.rate or sample_rate))
    return sink.samples


def render_file(
    original: str | PathLike[str], enhanced: Samples, target: str | PathLike[str], sound: SoundOptions
) -> Rendered:
    """Write the file that `sound` asks for; the suffix of `target` decides the format.

    `enhanced` is `[C, S]` at the original's rate and may be memory-mapped: it is read block by block. Tags
    are copied as by `Enhancer.enhance_file`. `target` is written completely or not at all. Raises
    `InputError`, `OutputError`, `UsageError`.
    """
    path, place = Path(original), Path(target)
    source, found = file_source(path)
    refuse_input(path, [place])
    sink = open_sink(place, found.info, sound.check(), path)
    with whole_files(sink) as files:
        made, warnings = _write(source, enhanced, sink, replace(sound, rate=sink.sample_rate))
        files += made
    return Rendered(place, warnings)


def _write(source: Source, enhanced: Samples, sink: Sink, sound: SoundOptions) -> Written:
    """Write through the same output stage as an enhancement."""
    signal = source.signal
    if sound.channels != "keep":
        raise UsageError("channels are chosen when a recording is enhanced, not afterwards")
    if enhanced.shape != (signal.channels, signal.frames):
        raise UsageError(
            f"the enhanced recording has {list(enhanced.shape)} channels and samples, "
            f"the original {[signal.channels, signal.frames]}"
        )
    recording = open_task_recording(source, sink, Models(), sound, rate_in=signal.sample_rate, readers=1)
    blocks = zip(ArraySource(enhanced, signal).blocks(), recording.one_pass.reader(), strict=True)
    for made, original in blocks:
        taken = made if sound.share > 0 else original
        recording.output.write(recording.rows.select(np.ascontiguousarray(taken)))
    return recording.finish(None, sound.guard)[0]
