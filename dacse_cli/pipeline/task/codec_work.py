"""What a task needs from the codec, as data: so the engine computes windows of many tasks in one batch.

A task does not call the codec. It yields a `CodecWork` and is resumed with the results. Short files then
share the batches of a GPU, which one window alone leaves mostly idle.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dacse_cli.codec.stream import DecodeStream
from dacse_cli.interfaces import Codec, Samples, Units, Window
from dacse_cli.pipeline.wire.failures import is_device_lost, is_out_of_memory

T = TypeVar("T")
Results = list[NDArray[Any]]
"""Of one `CodecWork`: the kept units or samples of each window."""


@dataclass(frozen=True)
class CodecWork:
    """Windows to encode, or to decode."""

    windows: Sequence[Window]
    decode: bool = False

    @property
    def rows(self) -> int:
        """Channels of all windows."""
        return sum(len(window.data) for window in self.windows)


Asking = Generator[CodecWork, Results, T]
"""A computation that yields codec work, is sent the results, and returns a `T`."""


def encoded(windows: Sequence[Window]) -> Asking[Units]:
    """The kept units `[C, U, t]` of consecutive windows of a recording, joined."""
    return np.concatenate((yield CodecWork(windows)), axis=-1)


def decoded(codec: Codec, units: Units) -> Asking[Samples]:
    """Samples `[C, T * hop]` of units `[C, U, T]`, the same as `codec.decode` gives."""
    stream = DecodeStream(codec, len(units))
    windows = stream.windows(units) + stream.last_windows()
    return np.concatenate((yield CodecWork(windows, decode=True)), axis=-1)


def computed(codec: Codec, works: Sequence[CodecWork]) -> list[Results | Exception]:
    """The results of every work, or its error; windows of one shape share batches of `codec.rows`."""
    found: list[Results | Exception] = [[] for _ in works]
    for decode in (False, True):
        owners = [i for i, work in enumerate(works) if work.decode == decode for _ in work.windows]
        windows = [window for work in works if work.decode == decode for window in work.windows]
        for owner, result in zip(owners, _each(codec, windows, decode), strict=True):
            earlier = found[owner]
            if isinstance(result, Exception):
                found[owner] = result
            elif not isinstance(earlier, Exception):
                earlier.append(result)
    return found


def alone(codec: Codec, steps: Generator[T | CodecWork, Results | None, object]) -> Iterator[T]:
    """What a computation yields besides codec work, which is done at once. Raises what the codec raises."""
    results: Results | None = None
    while (step := send(steps, results)) is not None:
        results = None
        if isinstance(step, CodecWork):
            (found,) = computed(codec, [step])
            if isinstance(found, Exception):
                raise found
            results = found
        else:
            yield step


def send(steps: Generator[T, Results | None, object], results: Results | None) -> T | None:
    """Resume a generator; what it yields next, or None at its end."""
    try:
        return steps.send(results)
    except StopIteration:
        return None


def _each(codec: Codec, windows: Sequence[Window], decode: bool) -> list[NDArray[Any] | Exception]:
    """One result per window. A batch that fails is halved until the window at fault is alone."""
    if not windows:
        return []
    try:
        return list((codec.decode_windows if decode else codec.encode_windows)(windows))
    except Exception as error:
        if len(windows) == 1 or is_device_lost(error):
            return [error] * len(windows)
        if is_out_of_memory(error):
            codec.rows = max(1, codec.rows // 2)
    # after the handler, because the error's traceback keeps the tensors of the failed batch alive
    middle = len(windows) // 2
    return _each(codec, windows[:middle], decode) + _each(codec, windows[middle:], decode)
