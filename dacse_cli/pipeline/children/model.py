"""The process that runs the models. If it dies, the supervisor starts another.

Gets one `Load`, then `Work`s, then `End`. All its outputs have temporary names; only the supervisor
renames them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator

from dacse_cli.errors import DacseError
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.engine.load import fitting_batch, load_models, prepared_batch
from dacse_cli.pipeline.engine.resume import resuming
from dacse_cli.pipeline.engine.threads import Threads, applied, plan_threads
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.open import open_task
from dacse_cli.pipeline.task.task import Task
from dacse_cli.pipeline.wire.failures import failure_of
from dacse_cli.pipeline.wire.messages import (
    Advanced,
    Failed,
    Fatal,
    Load,
    Loaded,
    Message,
    Ready,
    Started,
    Work,
)
from dacse_cli.pipeline.wire.process import serve

Answer = Callable[[Message], None]


class Worker:
    """Feeds work to an engine and reports what became of it."""

    def __init__(self, models: Models, answer: Answer) -> None:
        self._models, self._answer = models, answer
        self._todo: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._ended = False
        self._seconds = self._resumed = 0.0

    def run(self, messages: Iterator[Message], batch: int, threads: Threads) -> None:
        """Run until the supervisor says that no more work will come."""
        threading.Thread(target=self._listen, args=(messages,), daemon=True).start()
        engine = Engine[int](
            self._models,
            batch,
            self._next_task,
            lambda key, finished: self._answer(Ready(key, finished)),
            lambda key, error: self._answer(Failed(key, failure_of(error))),
            self._progress,
            threads.beside,
        )
        with applied(threads):
            engine.run()

    def _listen(self, messages: Iterator[Message]) -> None:
        """Runs in its own thread, so that the death of the supervisor is noticed even during a step."""
        with contextlib.suppress(ValueError):
            for message in messages:
                self._todo.put(message if isinstance(message, Work) else None)
        os._exit(0)  # input ended without `End`: the supervisor has died or wants this process to exit

    def _next_task(self, block: bool) -> tuple[int, Callable[[], Task]] | None:
        if self._ended:
            return None
        try:
            work = self._todo.get(block)
        except queue.Empty:
            return None
        if work is None:
            self._ended = True
            return None
        self._answer(Started(work.id))
        models = self._models
        return work.id, lambda: resuming(open_task(work, models), work.keep, models, self._recalled)

    def _progress(self, seconds: float) -> None:
        self._seconds = seconds
        self._answer(Advanced(seconds, self._resumed))

    def _recalled(self, seconds: float) -> None:
        self._resumed += seconds
        self._progress(self._seconds)


def prepare_process(device: str) -> None:
    """Settings of a process that only runs models: no network, no messages of libraries, reused memory."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    if device in ("auto", "cpu"):
        from dacse_cli.codec.memory import tune_allocator

        tune_allocator()


def describe(models: Models, batch: int) -> Loaded:
    """Describe the loaded models, for the supervisor's planning and for display."""
    torch = sys.modules.get("torch")  # a filter may run without torch
    devices = torch.cuda.device_count() if torch is not None else 0
    stride, runs = 60.0, "a filter"  # a filter has no chunks: it can always take one more file
    if models.codec is not None:
        runs = f"codec on {models.codec.device}"
    if models.translator is not None:
        stride = float(models.need_grid.stride / models.spec.frame_rate)
        runs = models.translator.describe()
    return Loaded(batch, stride, runs, devices)


def handle(messages: Iterator[Message], answer: Answer) -> None:
    """Entry for `serve`."""
    load = next(messages, None)
    if not isinstance(load, Load):
        return
    try:
        prepare_process(load.plan.device)
        models = load_models(load.plan)
        batch = fitting_batch(load.plan, models)
        if not load.plan.deterministic:
            batch = max(1, batch // load.divide_batch)
        batch = prepared_batch(models, batch)
        answer(describe(models, batch))
        Worker(models, answer).run(messages, batch, plan_threads(models, load.sharing))
    except DacseError as error:
        answer(Fatal(failure_of(error)))


if __name__ == "__main__":
    serve(handle)
