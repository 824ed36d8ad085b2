"""Child process that owns the models. It may die: the supervisor starts another and goes on.

Commands: one `load`, then `job`s, then the end of input. Everything it makes lies under temporary names;
only the supervisor gives a file its final one.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator

from dacse_cli.errors import DacseError
from dacse_cli.lm.device import cuda_devices
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.engine.load import fitting_batch, load_chain, prepare_steps
from dacse_cli.pipeline.engine.resume import resuming
from dacse_cli.pipeline.request.plan import ChainFiles
from dacse_cli.pipeline.task.open import open_task
from dacse_cli.pipeline.task.task import Chain, Finished, Task
from dacse_cli.pipeline.wire.failures import Failure, fatal_message
from dacse_cli.pipeline.wire.process import Message, serve

SMALL_MODEL_BYTES = 100_000_000


class Worker:
    """Feeds jobs to an engine and reports what became of them."""

    def __init__(self, answer: Callable[[Message], None]) -> None:
        self._answer = answer
        self._jobs: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._ended = False
        self._seconds = self._resumed = 0.0

    def run(self, commands: Iterator[Message]) -> None:
        load = next(commands, None)
        if load is None:
            return
        threading.Thread(target=self._listen, args=(commands,), daemon=True).start()
        files = ChainFiles(**load["files"])
        try:
            chain = load_chain(files)
            batch = fitting_batch(files, chain)
            beside = share_cores(chain, load.get("sharing", 1))
            if not files.deterministic:
                batch = max(1, batch // load.get("divide_batch", 1))
            batch = prepare_steps(chain, batch)
        except DacseError as error:
            self._answer(fatal_message(error))
            return
        self._answer({"type": "loaded", "batch": batch, **_description(chain)})
        Engine[int](
            chain,
            batch,
            lambda block: self._next_task(chain, block),
            self._finished,
            self._failed,
            self._progress,
            beside,
        ).run()

    def _listen(self, commands: Iterator[Message]) -> None:
        """Runs in its own thread, so that a killed supervisor is noticed in the middle of a step."""
        for command in commands:
            if command["type"] == "end":
                self._jobs.put(None)
            else:
                self._jobs.put(command)
        os._exit(0)  # input ended without `end`: the supervisor is gone or wants us gone

    def _next_task(self, chain: Chain, block: bool) -> tuple[int, Callable[[], Task]] | None:
        if self._ended:
            return None
        try:
            job = self._jobs.get(block)
        except queue.Empty:
            return None
        if job is None:
            self._ended = True
            return None
        self._answer({"type": "started", "id": job["id"]})
        return job["id"], lambda: resuming(open_task(job, chain), job, chain, self._recalled)

    def _progress(self, seconds: float) -> None:
        self._seconds = seconds
        self._answer({"type": "progress", "seconds": seconds, "resumed": self._resumed})

    def _recalled(self, seconds: float) -> None:
        self._resumed += seconds
        self._progress(self._seconds)

    def _finished(self, key: int, finished: Finished) -> None:
        self._answer(
            {
                "type": "ready",
                "id": key,
                "files": [file.to_json() for file in finished.files],
                "seconds": finished.seconds,
                "warnings": finished.warnings,
                "resumed": finished.resumed,
                "guard": finished.guard and finished.guard.to_json(),
            }
        )

    def _failed(self, key: int, failure: Failure) -> None:
        self._answer({"type": "failed", "id": key, **vars(failure)})


def share_cores(chain: Chain, workers: int) -> bool:
    """Whether codec and files shall work beside generation; sets torch's threads for both.

    Always where the language model has a device of its own. On a CPU a small model gets one thread: a step
    of `nano` is hundreds of operations of microseconds, threads meet after each, and wherever anything else
    wants a core all of them wait (measured beside one busy core, two threads took 10 to 25 times as long a
    step as one). The cores it leaves free are the codec's. A large model takes this worker's share of all
    cores, and what would run beside it would only take them away.
    """
    if chain.lm is None or not chain.lm.device.startswith("cpu"):
        return chain.lm is not None
    import torch

    from dacse_cli.lm.bandwidth import weight_bytes

    cores = max(1, (os.cpu_count() or 1) // workers)
    small = weight_bytes(chain.lm) < SMALL_MODEL_BYTES
    torch.set_num_threads(1 if small else cores)
    return small and cores > 1


def _description(chain: Chain) -> Message:
    """What runs, for `-v` and for the supervisor's bookkeeping."""
    return {
        "chunk_seconds": float(chain.grid.chunk / chain.frame_rate),
        "stride_seconds": float(chain.grid.stride / chain.frame_rate),
        "devices": cuda_devices(),
        "runs": chain.lm.describe() if chain.lm else f"codec on {chain.codec.device}",
    }


def handle(commands: Iterator[Message], answer: Callable[[Message], None]) -> None:
    """Entry for `serve`."""
    Worker(answer).run(commands)


if __name__ == "__main__":
    serve(handle)
