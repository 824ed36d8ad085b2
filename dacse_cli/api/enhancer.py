"""The library: models held in memory that enhance arrays or files, by the same code as the command.

>>> from dacse_cli import Enhancer
>>> samples, rate = soundfile.read("mono.wav")
>>> with Enhancer("nano") as enhancer:
...     clean = enhancer.enhance("noisy.wav")           # a path ...
...     clean = enhancer.enhance(samples, rate)         # ... or samples [S] or [C, S]
...     enhancer.enhance_file("noisy.wav", "clean.flac")
...     for piece in enhancer.stream("long.wav"):       # a piece at a time, in constant memory
...         print(piece.seconds, piece.samples.shape)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from dacse_cli.api.arguments import SoundArguments, sound_options
from dacse_cli.api.enhanced import Enhanced
from dacse_cli.api.sources import Audio, file_source, name_of, source_of
from dacse_cli.api.writing import refuse_input, whole_files
from dacse_cli.config import AUTO_MODEL, ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.hub.choice import choose_model
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.engine.load import fitting_batch, load_models, prepared_batch, with_filter
from dacse_cli.pipeline.engine.threads import applied, plan_threads
from dacse_cli.pipeline.request.find_models import FoundModels, find_models
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.open import enhance_task, file_task
from dacse_cli.pipeline.task.reading.sources import Source
from dacse_cli.pipeline.task.task import Task
from dacse_cli.pipeline.task.writing.sinks import ArraySink
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.pipeline.wire.outcome import Finished

if TYPE_CHECKING:
    import torch
    from typing_extensions import Unpack

MakeTask = Callable[[], Task]


class Enhancer:
    """Models in memory. Calls from several threads are served one after the other, so one object can serve
    a web service.

    `model` is a Hub id, `id@revision`, a local folder, `"nano"`, or `"auto"`, as on the command line: the
    released model if there is a GPU, or if it is in the cache and `device` is given; else `nano`. The
    attribute `model` is the one chosen. The other arguments are those of the command line; `device` and
    `dtype` may also be torch objects, and `chunk` is in seconds. `method` is the default of all calls and
    decides which models are loaded now; a call with another method loads the models it needs.
    `progress(seconds)` is called with the seconds of audio generated so far in a call.

    Raises `UsageError` for impossible options, `ModelError` for a model that cannot be found or loaded,
    `DeviceError` for a device that cannot be used; all are `DacseError`s.
    """

    def __init__(
        self,
        model: str | PathLike[str] = AUTO_MODEL,
        *,
        codec: str | PathLike[str] | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        batch_size: int | None = None,
        chunk: float | None = None,
        overlap: float = 0.05,
        offline: bool = False,
        deterministic: bool = False,
        kv: str = "auto",
        beam: int | None = None,
        expansion: str | None = None,
        second_opinion: str | None = None,
        method: Literal["auto", "generate", "filter", "mask"] = "auto",
        progress: Callable[[float], None] | None = None,
    ) -> None:
        models = ModelOptions(
            choose_model(name_of("model", model), _name(device), offline=offline).model,
            None if codec is None else name_of("codec", codec),
            _name(device),
            _name(dtype),
            batch_size,
            offline,
            deterministic,
            kv,
            beam,
            expansion,
            second_opinion,
        )
        chunks, sound = ChunkOptions(chunk, overlap), SoundOptions(method=method)
        request = Request(Form.ENHANCE, (), None, models, chunks, sound).check()
        self._set_up(find_models(request), progress)

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
        """Like the constructor, with the argument names of transformers; `device_map` is one device.

        Raises what the constructor raises.
        """
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
    def from_found(cls, found: FoundModels, progress: Callable[[float], None] | None = None) -> Enhancer:
        """From models that were found by `find_models`. Raises `ModelError`, `DeviceError`."""
        enhancer = cls.__new__(cls)
        enhancer._set_up(found, progress)
        return enhancer

    def _set_up(self, found: FoundModels, progress: Callable[[float], None] | None) -> None:
        self.found, self._by_method = found, dict[str, Models]()
        self.model = found.request.models.model
        self._progress = progress or (lambda seconds: None)
        self._lock = threading.Lock()
        self._load(found)

    def _load(self, found: FoundModels) -> None:
        """Load the models of `found`, in place of those in memory."""
        plan = found.plan
        self.models = load_models(plan)
        self.batch_size = prepared_batch(self.models, fitting_batch(plan, self.models))
        self._threads = plan_threads(self.models)
        self._by_method[found.method] = self.models

    def __enter__(self) -> Enhancer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the models' working memory."""
        if self.models.translator is not None:
            self.models.translator.release()

    def _models_for(self, sound: SoundOptions) -> Models:
        """The models for a method; those that are not in memory are loaded. Raises `UsageError`."""
        method = self.found.method if sound.method == "auto" else sound.method
        with self._lock:
            if method not in self._by_method:
                plan = self.found.plan_for(method)
                if plan.translator is not None and self.models.translator is None:
                    request = self.found.request
                    self._load(find_models(replace(request, sound=replace(request.sound, method=method))))
                else:
                    self._by_method[method] = with_filter(self.models, plan)
            return self._by_method[method]

    def enhance(
        self, audio: Audio, sample_rate: int | None = None, **sound: Unpack[SoundArguments]
    ) -> Enhanced:
        """Enhance one recording: a path, or samples `[S]` or `[C, S]` with their `sample_rate`.

        Samples are float in [-1, 1] or signed integers. The result has the shape `[C, S]`, the length and,
        unless `rate` is given, the sample rate of the input. Where generated speech differs from the input,
        `guard="normal"` keeps the input and reports it in `Enhanced.guard`, "strict" raises `InputError`,
        "off" does not check. Raises `InputError` for audio that cannot be used, `UsageError` for options that
        cannot be combined or values out of range.
        """
        return self._batch([(audio, sample_rate)], sound_options("enhance", sound))[0]

    def enhance_batch(
        self, items: Sequence[tuple[Audio, int | None]], **sound: Unpack[SoundArguments]
    ) -> list[Enhanced]:
        """Enhance several recordings, (audio, sample_rate) each, in shared batches; results in their order.

        Raises as `enhance` does, the first error after all others are done.
        """
        return self._batch(items, sound_options("enhance_batch", sound))

    def _batch(self, items: Sequence[tuple[Audio, int | None]], options: SoundOptions) -> list[Enhanced]:
        models = self._models_for(options)
        sources = [source_of(audio, sample_rate) for audio, sample_rate in items]
        sinks = [ArraySink() for _ in sources]

        def task(index: int) -> MakeTask:
            return lambda: enhance_task(sources[index], sinks[index], models, options)

        ends = self._run([task(index) for index in range(len(sources))], models)
        return [
            Enhanced(sink.samples, options.rate or source.signal.sample_rate, end.guard, end.warnings)
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
        """Enhance one recording and yield it in pieces `[C, n]`; joined they equal the result of `enhance`.

        Takes the arguments of `enhance`. A file is read block by block. Other calls may be made between two
        pieces; with `loudness` all samples come at the end. `batch_size` is the number of chunks per piece:
        None gives the first piece as early as possible, `Enhancer.batch_size` is fastest overall.
        The last piece contains the guard's report on the whole recording. Raises as `enhance` does: errors in
        `audio` and the other arguments from this call itself, all others while iterating.
        """
        options = sound_options("stream", sound)
        size = ModelOptions(batch_size=batch_size).check().batch_size
        return self._pieces(source_of(audio, sample_rate), size, self._models_for(options), options)

    def _pieces(
        self, source: Source, batch_size: int | None, models: Models, sound: SoundOptions
    ) -> Generator[Enhanced, None, None]:
        sink, failed, ended = ArraySink(), list[Exception](), list[Finished]()
        waiting = [(0, lambda: enhance_task(source, sink, models, sound))]
        rows = 1 if sound.channels == "mono" else len(set(source.signal.duplicates))
        engine = Engine[int](
            models,
            min(batch_size or rows, self.batch_size),
            lambda block: waiting.pop() if waiting else None,
            lambda key, finished: ended.append(finished),
            lambda key, error: failed.append(error),
            self._progress,
        )
        steps = cast(Generator[None, None, None], engine.steps())
        rate = sound.rate or source.signal.sample_rate
        try:
            more = True
            while more:
                with self._lock, applied(self._threads):
                    more = next(steps, "end") != "end"
                samples = sink.take()
                if samples.shape[1]:
                    yield Enhanced(samples, rate, ended[0].guard if ended else None)
        finally:
            steps.close()
        if failed:
            raise failed[0]

    def enhance_file(
        self, source: str | PathLike[str], target: str | PathLike[str], **sound: Unpack[SoundArguments]
    ) -> Path:
        """Enhance a file into a file; the suffix of `target` decides the format. Overwrites `target`.

        Tags, cover art and, in media files, the picture are copied. `target` is written completely or not at
        all. Raises `InputError`, `OutputError`, `UsageError`.
        """
        options = sound_options("enhance_file", sound)
        models = self._models_for(options)
        path, place = Path(source), Path(target)
        recording, found = file_source(path)
        refuse_input(path, [place])
        task = file_task(recording, found, place, models, options)
        with whole_files(task) as files:
            files += self._run([lambda: task], models)[0].files
        return place

    def _run(self, tasks: Sequence[MakeTask], models: Models) -> list[Finished]:
        """Run all tasks; the first failure is raised after the others are done."""
        waiting = list(enumerate(tasks))[::-1]
        done: dict[int, Finished] = {}
        failed: list[Exception] = []
        with self._lock, applied(self._threads):
            engine = Engine[int](
                models,
                self.batch_size,
                lambda block: waiting.pop() if waiting else None,
                done.__setitem__,
                lambda key, error: failed.append(error),
                self._progress,
                self._threads.beside,
            )
            engine.run()
        if failed:
            raise failed[0]
        return [done[key] for key in range(len(tasks))]


def _name(value: object) -> str:
    """The command line's name of a device or dtype, which may be a torch object."""
    return str(value).removeprefix("torch.")
