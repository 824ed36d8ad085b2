"""Batches of chunks through the language model, in a thread of their own or in the caller's.

Knows chunks and answers, not tasks' ends or files. A batch that fails is halved until the chunk at fault
stands alone, so that a batch too large for the memory loses nothing and one bad chunk costs one file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from dacse_cli.pipeline.engine.batching import halves
from dacse_cli.pipeline.task.task import Chain, Chunk
from dacse_cli.pipeline.wire.failures import Failure, failure_of, is_device_lost, is_out_of_memory

PROGRESS_SECONDS = 0.25
DRAFT_ROWS = 2
"""Chunks of a batch whose noisy tokens are tried as drafts of the clean ones. A larger batch ends with its
noisiest chunk, whose drafts are the worst, and a wide pass over many rows costs what it saves."""
Answer = NDArray[np.int16] | Failure | None
"""Codes `[K, t]`; or why there are none; None where another chunk of the same task has failed before."""


class _Stopped(BaseException):
    """Ends a batch nobody waits for any more."""


class Generator:
    """Answers to chunks. `batch_size` shrinks when memory runs out; `on_progress` hears seconds of audio.

    `beside`: in a thread of its own, so that the caller can run the codec and write files meanwhile.
    """

    def __init__(
        self, chain: Chain, batch_size: int, on_progress: Callable[[float], None], *, beside: bool
    ) -> None:
        self.batch_size = batch_size
        self._chain, self._on_progress = chain, on_progress
        self._thread = ThreadPoolExecutor(1, "language-model") if beside else None
        self._seconds = self._told = self._told_seconds = 0.0
        self._left = False

    def __enter__(self) -> Generator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = kind is not None
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=self._left)

    def start(self, chunks: Sequence[Chunk]) -> Future[list[Answer]]:
        """Answers in the order of the chunks; there already, where there is no other thread."""
        if self._thread is not None:
            return self._thread.submit(self._answers, chunks)
        done: Future[list[Answer]] = Future()
        done.set_result(self._answers(chunks))
        return done

    def sign_of_life(self) -> None:
        """Tell progress once more, for who waits for some: there is work besides generating."""
        self._tell(self._told_seconds)

    def _answers(self, chunks: Sequence[Chunk]) -> list[Answer]:
        """Raises `DeviceError` where the device will refuse all that follows."""
        try:
            codes = self._generate(chunks)
        except Exception as error:
            if is_out_of_memory(error):
                self.batch_size = (len(chunks) + 1) // 2
            if len(chunks) == 1 or is_device_lost(error):
                return [failure_of(error)]
        else:
            self._seconds += sum(chunk.seconds for chunk in chunks)
            self._tell(self._seconds, force=True)
            return list(codes)
        # out of the handler: the error's traceback holds the tensors of the batch that did not fit
        answers: dict[int, Answer] = {}
        failed: set[int] = set()
        for half in halves(range(len(chunks))):
            todo = [i for i in half if id(chunks[i].task) not in failed]
            if todo:
                answers |= zip(todo, self._answers([chunks[i] for i in todo]), strict=True)
            failed |= {id(chunks[i].task) for i in todo if isinstance(answers[i], Failure)}
        return [answers.get(i) for i in range(len(chunks))]

    def _generate(self, chunks: Sequence[Chunk]) -> list[NDArray[np.int16]]:
        assert self._chain.lm is not None
        layout = self._chain.layout
        lengths = [chunk.codes.size for chunk in chunks]
        seconds = sum(chunk.seconds for chunk in chunks)
        draws = [chunk.draw for chunk in chunks if chunk.draw is not None]  # of all or of none
        ids = self._chain.lm.generate(
            [layout.prompt(chunk.codes) for chunk in chunks],
            lengths,
            layout.ranges,
            on_step=lambda step: self._tell(self._seconds + seconds * step / max(lengths)),
            draws=draws or None,
            drafts=[layout.flatten(chunk.codes) for chunk in chunks] if len(chunks) <= DRAFT_ROWS else None,
        )
        return [layout.unflatten(row) for row in ids]

    def _tell(self, seconds: float, force: bool = False) -> None:
        if self._left:
            raise _Stopped
        now = time.monotonic()
        if force or now - self._told >= PROGRESS_SECONDS:
            self._told = now
            # never backwards, though a batch that did not fit begins again
            self._told_seconds = max(self._told_seconds, seconds)
            self._on_progress(self._told_seconds)
