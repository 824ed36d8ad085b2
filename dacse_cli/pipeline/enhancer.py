"""The library's face: models held in memory, arrays or files through them. Same code as the command line.

>>> from dacse_cli import Enhancer
>>> with Enhancer("nano") as enhancer:
...     clean = enhancer.enhance("noisy.wav")           # a path ...
...     clean = enhancer.enhance(samples, 16000)        # ... or samples [S] or [C, S]
...     enhancer.enhance_file("noisy.wav", "clean.flac")
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dacse_cli.audio.atomic import commit
from dacse_cli.audio.info import AudioScan
from dacse_cli.audio.probe import scan
from dacse_cli.config import DEFAULT_MODEL, ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import DacseError, InputError, LockedError, ModelError, OutputError, UsageError
from dacse_cli.pipeline.engine import Engine
from dacse_cli.pipeline.enhance_audio import EnhanceAudio
from dacse_cli.pipeline.failures import Failure
from dacse_cli.pipeline.guard.report import GuardReport
from dacse_cli.pipeline.loading import fitting_batch, load_chain
from dacse_cli.pipeline.opening import open_sink
from dacse_cli.pipeline.plan import ChainFiles, Request
from dacse_cli.pipeline.run import chain_files, find_networks
from dacse_cli.pipeline.sources import ArraySink, ArraySource, FileSource, Signal, Sink, Source
from dacse_cli.pipeline.task import Finished, Task

MAX_CHANNELS = 64


@dataclass(frozen=True)
class Enhanced:
    """An enhanced recording, as long as its input."""

    samples: NDArray[np.float32]
    """`[C, S]`, full scale is 1."""
    sample_rate: int
    guard: GuardReport | None = None
    """What became of its chunks: kept, repaired, passed through; None where no guard was asked for."""


class Enhancer:
    """Models in memory. Calls from several threads are served one after the other.

    `model` is a Hub id, `id@revision`, a local folder or `"nano"`; the other arguments are those of the
    command line. `progress(seconds)` is called with the seconds of audio generated so far in a call.
    Raises `DacseError` where models or device cannot be had.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        codec: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | None = None,
        chunk: float | None = None,
        overlap: float = 0.05,
        offline: bool = False,
        deterministic: bool = False,
        kv: str = "auto",
        progress: Callable[[float], None] | None = None,
    ) -> None:
        models = ModelOptions(model, codec, device, dtype, batch_size, offline, deterministic, kv)
        request = Request("enhance", (), None, models, ChunkOptions(chunk, overlap), SoundOptions()).check()
        self._set_up(chain_files(request, find_networks(models, with_model=True)), progress)

    @classmethod
    def from_files(cls, files: ChainFiles, progress: Callable[[float], None] | None = None) -> Enhancer:
        """From networks that have been found already."""
        enhancer = cls.__new__(cls)
        enhancer._set_up(files, progress)
        return enhancer

    def _set_up(self, files: ChainFiles, progress: Callable[[float], None] | None) -> None:
        self.chain = load_chain(files)
        self.batch_size = fitting_batch(files, self.chain)
        self._progress = progress or (lambda seconds: None)
        self._lock = threading.Lock()

    def __enter__(self) -> Enhancer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the models' working memory back."""
        if self.chain.lm is not None:
            self.chain.lm.release()

    def enhance(
        self,
        audio: str | PathLike[str] | ArrayLike,
        sample_rate: int | None = None,
        *,
        channels: str = "keep",
        rate: int | None = None,
        mix: float = 1.0,
        guard: str = "normal",
    ) -> Enhanced:
        """Enhance one recording: a path, or samples `[S]` or `[C, S]` with their `sample_rate`.

        Where the model says something else than was said, `guard="normal"` lets the input through and says
        so in `Enhanced.guard`, "strict" raises `InputError`, "off" takes what comes. Raises `InputError` for
        audio that cannot be used, `UsageError` for options that cannot be.
        """
        items = [(audio, sample_rate)]
        return self.enhance_batch(items, channels=channels, rate=rate, mix=mix, guard=guard)[0]

    def enhance_batch(
        self,
        items: Sequence[tuple[str | PathLike[str] | ArrayLike, int | None]],
        *,
        channels: str = "keep",
        rate: int | None = None,
        mix: float = 1.0,
        guard: str = "normal",
    ) -> list[Enhanced]:
        """Enhance several recordings at once, (audio, sample_rate) each; chunks of all share batches."""
        sound = SoundOptions(channels, rate, mix=mix, guard=guard).check()
        sources = [_source(audio, sample_rate) for audio, sample_rate in items]
        sinks = [ArraySink() for _ in sources]
        ends = self._run(sources, list(sinks), sound)
        return [
            Enhanced(sink.samples, rate or source.signal.sample_rate, end.guard)
            for source, sink, end in zip(sources, sinks, ends, strict=True)
        ]

    def enhance_file(
        self,
        source: str | PathLike[str],
        target: str | PathLike[str],
        *,
        channels: str = "keep",
        rate: int | None = None,
        mix: float = 1.0,
        guard: str = "normal",
    ) -> Path:
        """Enhance a file into a file; the suffix of `target` decides the format. Overwrites `target`.

        `target` appears whole or not at all. Raises `InputError`, `OutputError`, `UsageError`.
        """
        sound = SoundOptions(channels, rate, mix=mix, guard=guard).check()
        path, place = Path(source), Path(target)
        recording, found = _file_source(path)
        if place.exists() and place.samefile(path):
            raise UsageError(f"{place} is the input; inputs are never written to")
        sink = open_sink(place, found.info, sound, path)
        try:
            (finished,) = self._run([recording], [sink], replace(sound, rate=sink.sample_rate))
        except BaseException:  # Ctrl-C while another thread has its turn, too
            sink.abandon()
            raise
        for file in finished.files:
            commit(file.temp, file.target)
        return place

    def _run(self, sources: Sequence[Source], sinks: Sequence[Sink], sound: SoundOptions) -> list[Finished]:
        """Everything through the engine; the first failure is raised after the others are done."""
        waiting = list(enumerate(zip(sources, sinks, strict=True)))[::-1]
        done: dict[int, Finished] = {}
        failed: list[Failure] = []

        def next_task(block: bool) -> tuple[int, Callable[[], Task]] | None:
            if not waiting:
                return None
            key, (source, sink) = waiting.pop()
            return key, lambda: EnhanceAudio(source, sink, self.chain, sound)

        with self._lock:
            engine = Engine[int](
                self.chain,
                self.batch_size,
                next_task,
                done.__setitem__,
                lambda key, failure: failed.append(failure),
                self._progress,
                beside=not self.chain.codec.device.startswith("cpu"),
            )
            engine.run()
        if failed:
            raise _error(failed[0])
        return [done[key] for key in range(len(sources))]


def _source(audio: str | PathLike[str] | ArrayLike, sample_rate: int | None) -> Source:
    if isinstance(audio, (str, PathLike)):
        return _file_source(Path(audio))[0]
    if sample_rate is None or not 1000 <= sample_rate <= 768_000:
        raise UsageError(f"samples need their sample rate, 1000 to 768000 Hz, not {sample_rate}")
    samples = np.atleast_2d(np.asarray(audio, dtype=np.float32))
    if samples.ndim != 2 or not 1 <= samples.shape[0] <= MAX_CHANNELS:
        raise UsageError(f"samples must have shape [S] or [channels, S], not {list(samples.shape)}")
    _check(samples.shape[1], int((~np.isfinite(samples)).sum()))
    return ArraySource(samples, Signal.of_array(samples, sample_rate))


def _file_source(path: Path) -> tuple[FileSource, AudioScan]:
    found = scan(path)
    _check(found.frames, found.bad_samples)
    return FileSource(path, Signal.of_scan(found)), found


def _check(frames: int, bad_samples: int) -> None:
    if bad_samples:
        raise InputError(f"{bad_samples:,} samples are NaN or infinite", reason="nan")
    if not frames:
        raise InputError("there are no samples in it", reason="no-samples")


def _error(failure: Failure) -> Exception:
    if failure.trace is not None:
        return RuntimeError(failure.trace)
    if failure.exit_code == InputError.exit_code:
        return InputError(failure.message, reason=failure.reason, hint=failure.hint)
    kinds: dict[int, type[DacseError]] = {
        kind.exit_code: kind for kind in (UsageError, ModelError, OutputError, LockedError)
    }
    return kinds.get(failure.exit_code, DacseError)(failure.message, hint=failure.hint)
