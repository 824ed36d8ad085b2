"""Batches of chunks through the translator, in a thread of their own or in the caller's.

Handles chunks and outputs, not the ends of tasks or files. A batch that fails is halved until the faulty
chunk is alone, so a batch too large for the memory loses nothing and one bad chunk fails only one file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from dacse_cli.errors import DeviceError, InputError
from dacse_cli.interfaces import Translator, Units
from dacse_cli.pipeline.engine.batching import halves
from dacse_cli.pipeline.task.task import Chunk
from dacse_cli.pipeline.wire.failures import is_device_lost, is_out_of_memory

PROGRESS_SECONDS = 0.25
Output = Units | Exception | None
"""Units `[U, t]`, or the error; None where another chunk of the same task has already failed."""


class _Stopped(BaseException):
    """Raised to stop a batch whose result is no longer needed."""


class Generator:
    """Generates the outputs of chunks. `batch_size` shrinks when memory runs out.

    `on_progress` is called with the seconds of audio done so far. `beside`: in a thread of its own, so that
    the caller can run the codec and write files meanwhile. `translator` is None if there will be no chunks.
    """

    def __init__(
        self,
        translator: Translator | None,
        batch_size: int,
        on_progress: Callable[[float], None],
        *,
        beside: bool,
    ) -> None:
        self.batch_size = batch_size
        self._translator, self._on_progress = translator, on_progress
        self._thread = ThreadPoolExecutor(1, "translator") if beside else None
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

    def start(self, chunks: Sequence[Chunk]) -> Future[list[Output]]:
        """Outputs in the order of the chunks; without another thread they are done on return."""
        if self._thread is not None:
            return self._thread.submit(self._outputs, chunks)
        done: Future[list[Output]] = Future()
        done.set_result(self._outputs(chunks))
        return done

    def advance(self, seconds: float) -> None:
        """Report progress of work other than translating: `seconds` of audio, or 0 as a heartbeat."""
        self._seconds += seconds
        self._tell(max(self._told_seconds, self._seconds))

    def _outputs(self, chunks: Sequence[Chunk]) -> list[Output]:
        """Raises `DeviceError` where every later operation on the device would fail."""
        try:
            units = self._translate(chunks)
        except Exception as error:
            if is_device_lost(error):
                raise DeviceError(f"the device failed: {str(error).splitlines()[0]}") from error
            if is_out_of_memory(error):
                self.batch_size = (len(chunks) + 1) // 2
            if len(chunks) == 1:
                return [_alone(error)]
        else:
            self._seconds += sum(chunk.seconds for chunk in chunks)
            self._tell(self._seconds, force=True)
            return list(units)
        # after the handler, because the error's traceback keeps the tensors of the failed batch alive
        outputs: dict[int, Output] = {}
        failed: set[int] = set()
        for half in halves(range(len(chunks))):
            todo = [i for i in half if id(chunks[i].task) not in failed]
            if todo:
                outputs |= zip(todo, self._outputs([chunks[i] for i in todo]), strict=True)
            failed |= {id(chunks[i].task) for i in todo if isinstance(outputs[i], Exception)}
        return [outputs.get(i) for i in range(len(chunks))]

    def _translate(self, chunks: Sequence[Chunk]) -> list[Units]:
        assert self._translator is not None
        seconds = sum(chunk.seconds for chunk in chunks)
        longest = max(chunk.units.shape[-1] for chunk in chunks)
        draws = [chunk.draw for chunk in chunks if chunk.draw is not None]  # of all or of none
        return self._translator.translate(
            [chunk.units for chunk in chunks],
            draws or None,
            lambda frames: self._tell(self._seconds + seconds * frames / longest),
        )

    def _tell(self, seconds: float, force: bool = False) -> None:
        if self._left:
            raise _Stopped
        now = time.monotonic()
        if force or now - self._told >= PROGRESS_SECONDS:
            self._told = now
            # progress never decreases, although a batch that did not fit starts again
            self._told_seconds = max(self._told_seconds, seconds)
            self._on_progress(self._told_seconds)


def _alone(error: Exception) -> Exception:
    """The error of a chunk that failed alone."""
    if not is_out_of_memory(error):
        return error
    return InputError(
        "memory ran out with a single chunk", reason="out-of-memory", hint="Try a shorter `chunk`."
    )
