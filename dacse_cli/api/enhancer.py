"""The library's face: models held in memory, arrays or files through them. Same code as the command line.

>>> from dacse_cli import Enhancer
>>> with Enhancer("nano") as enhancer:
...     clean = enhancer.enhance("noisy.wav")           # a path ...
...     clean = enhancer.enhance(samples, 16000)        # ... or samples [S] or [C, S]
...     enhancer.enhance_file("noisy.wav", "clean.flac")
...     for piece in enhancer.stream("long.wav"):       # a piece at a time, in constant memory
...         play(piece.samples)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from dacse_cli.api.enhanced import Enhanced
from dacse_cli.api.sources import Audio, file_source, source_of
from dacse_cli.audio.atomic import commit
from dacse_cli.config import DEFAULT_MODEL, ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import DacseError, InputError, LockedError, ModelError, OutputError, UsageError
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.engine.load import fitting_batch, load_chain, prepare_steps
from dacse_cli.pipeline.request.networks import chain_files, find_networks
from dacse_cli.pipeline.request.plan import ChainFiles
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.task.enhance_audio import EnhanceAudio
from dacse_cli.pipeline.task.open import open_sink
from dacse_cli.pipeline.task.sources import ArraySink, Sink, Source
from dacse_cli.pipeline.task.task import Finished, Task
from dacse_cli.pipeline.wire.failures import Failure

if TYPE_CHECKING:
    import torch
    from typing_extensions import Unpack


class SoundArguments(TypedDict, total=False):
    """What may be said of the sound in any call; the names and meanings of the command line."""

    channels: Literal["keep", "mono"]
    rate: int | None
    mix: float
    guard: Literal["normal", "strict", "off"]
    profile: Literal["gentle", "normal", "strong"]
    loudness: float | Literal["match"] | None
    """LUFS, or the input's."""
    true_peak: float
    """dBTP that `loudness` does not exceed."""
    method: Literal["auto", "generate", "filter"]


class Enhancer:
    """Models in memory. Calls from several threads are served one after the other, so one object can stand
    behind a web service.

    `model` is a Hub id, `id@revision`, a local folder or `"nano"`; the other arguments are those of the
    command line, `device` and `dtype` also torch's own objects. `progress(seconds)` is called with the
    seconds of audio generated so far in a call. Raises `DacseError` where models or device cannot be had.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        codec: str | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        batch_size: int | None = None,
        chunk: float | None = None,
        overlap: float = 0.05,
        offline: bool = False,
        deterministic: bool = False,
        kv: str = "auto",
        second_opinion: str | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        models = ModelOptions(
            model, codec, _name(device), _name(dtype), batch_size, offline, deterministic, kv, second_opinion
        )
        request = Request("enhance", (), None, models, ChunkOptions(chunk, overlap), SoundOptions()).check()
        self._set_up(chain_files(request, find_networks(models, with_model=True)), progress)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | PathLike[str],
        *,
        revision: str | None = None,
        device_map: str | torch.device | None = None,
        dtype: str | torch.dtype = "auto",
        local_files_only: bool = False,
        codec: str | None = None,
        batch_size: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Enhancer:
        """The same by the names that transformers gives these arguments; `device_map` is one device."""
        name = str(pretrained_model_name_or_path)
        return cls(
            f"{name}@{revision}" if revision else name,
            codec=codec,
            device=device_map or "auto",
            dtype=dtype,
            batch_size=batch_size,
            offline=local_files_only,
            progress=progress,
        )

    @classmethod
    def from_files(cls, files: ChainFiles, progress: Callable[[float], None] | None = None) -> Enhancer:
        """From networks that have been found already."""
        enhancer = cls.__new__(cls)
        enhancer._set_up(files, progress)
        return enhancer

    def _set_up(self, files: ChainFiles, progress: Callable[[float], None] | None) -> None:
        self.chain = load_chain(files)
        self.batch_size = prepare_steps(self.chain, fitting_batch(files, self.chain))
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
        self, audio: Audio, sample_rate: int | None = None, **sound: Unpack[SoundArguments]
    ) -> Enhanced:
        """Enhance one recording: a path, or samples `[S]` or `[C, S]` with their `sample_rate`.

        Where the model says something else than was said, `guard="normal"` lets the input through and says
        so in `Enhanced.guard`, "strict" raises `InputError`, "off" takes what comes. Raises `InputError` for
        audio that cannot be used, `UsageError` for options that cannot be.
        """
        return self.enhance_batch([(audio, sample_rate)], **sound)[0]

    def enhance_batch(
        self, items: Sequence[tuple[Audio, int | None]], **sound: Unpack[SoundArguments]
    ) -> list[Enhanced]:
        """Enhance several recordings at once, (audio, sample_rate) each; chunks of all share batches."""
        options = SoundOptions(**sound).check()
        sources = [source_of(audio, sample_rate) for audio, sample_rate in items]
        sinks = [ArraySink() for _ in sources]
        ends = self._run(sources, list(sinks), options)
        return [
            Enhanced(sink.samples, options.rate or source.signal.sample_rate, end.guard)
            for source, sink, end in zip(sources, sinks, ends, strict=True)
        ]

    def stream(
        self,
        audio: Audio,
        sample_rate: int | None = None,
        *,
        batch_size: int | None = None,
        **sound: Unpack[SoundArguments],
    ) -> Generator[Enhanced, None, None]:
        """One recording in pieces, each as soon as it is made; together they are what `enhance` gives.

        Takes what `enhance` takes. A file is read as it is needed and never whole in memory. Other calls may
        come between two pieces; `loudness` holds everything back until the end. `batch_size` is the number of
        chunks per piece: None makes the first piece come soonest, `Enhancer.batch_size` is fastest overall.
        The last piece carries the guard's report on the whole recording. Raises as `enhance` does, for the
        audio itself at once.
        """
        return self._pieces(source_of(audio, sample_rate), batch_size, SoundOptions(**sound).check())

    def _pieces(
        self, source: Source, batch_size: int | None, sound: SoundOptions
    ) -> Generator[Enhanced, None, None]:
        sink, failed, ended = ArraySink(), list[Failure](), list[Finished]()
        waiting = [(0, lambda: EnhanceAudio(source, sink, self.chain, sound))]
        rows = 1 if sound.channels == "mono" else len(set(source.signal.twins))
        engine = Engine[int](
            self.chain,
            min(batch_size or rows, self.batch_size),
            lambda block: waiting.pop() if waiting else None,
            lambda key, finished: ended.append(finished),
            lambda key, failure: failed.append(failure),
            self._progress,
        )
        steps = engine.steps()
        rate = sound.rate or source.signal.sample_rate
        try:
            more = True
            while more:
                with self._lock:
                    more = next(steps, "end") != "end"
                samples = sink.take()
                if samples.shape[1]:
                    yield Enhanced(samples, rate, ended[0].guard if ended else None)
        finally:
            steps.close()
        if failed:
            raise _error(failed[0])

    def enhance_file(
        self, source: str | PathLike[str], target: str | PathLike[str], **sound: Unpack[SoundArguments]
    ) -> Path:
        """Enhance a file into a file; the suffix of `target` decides the format. Overwrites `target`.

        Tags, cover art and, in media files, the picture come along. `target` appears whole or not at all.
        Raises `InputError`, `OutputError`, `UsageError`.
        """
        options = SoundOptions(**sound).check()
        path, place = Path(source), Path(target)
        recording, found = file_source(path)
        if place.exists() and place.samefile(path):
            raise UsageError(f"{place} is the input; inputs are never written to")
        sink = open_sink(place, found.info, options, path)
        try:
            (finished,) = self._run([recording], [sink], replace(options, rate=sink.sample_rate))
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


def _name(value: object) -> str:
    """The command line's word for a device or dtype that may be torch's own object."""
    return str(value).removeprefix("torch.")


def _error(failure: Failure) -> Exception:
    if failure.trace is not None:
        return RuntimeError(failure.trace)
    if failure.exit_code == InputError.exit_code:
        return InputError(failure.message, reason=failure.reason, hint=failure.hint)
    kinds: dict[int, type[DacseError]] = {
        kind.exit_code: kind for kind in (UsageError, ModelError, OutputError, LockedError)
    }
    return kinds.get(failure.exit_code, DacseError)(failure.message, hint=failure.hint)
