"""The thread that runs the models. The first seconds of all recordings are enhanced before the rest of any.

A recording is enhanced piece by piece, fully (`mix` 1) and without a change of level: options that a listener
chooses later are applied to that result without the models. After every piece the thread checks for newer
recordings.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import DacseError
from dacse_cli.serve.preview import PREVIEW_SECONDS, make_preview
from dacse_cli.serve.problems import ApiError, problem_of
from dacse_cli.serve.recordings import Recording, Shelf
from dacse_cli.serve.uploads import check_space

LONGEST_SECONDS = 24 * 3600.0


class Piece(Protocol):
    """The items of `Enhancer.stream`."""

    @property
    def samples(self) -> NDArray[np.float32]:
        """`[C, n]`."""

    @property
    def sample_rate(self) -> int:
        """Sample rate of the recording."""

    @property
    def guard(self) -> Any:
        """The guard's report on the whole recording, with the last piece."""


class Models(Protocol):
    """The part of `Enhancer` that is used."""

    batch_size: int

    def stream(self, audio: Path, *, batch_size: int | None = None) -> Generator[Piece, None, None]:
        """Enhance a recording and yield it in pieces."""

    def close(self) -> None:
        """Free memory."""


class Worker(threading.Thread):
    """Loads the models, then processes the recordings on the shelf until it is closed.

    `loaded` is set when the models are loaded, or when loading has failed with `error`.
    """

    def __init__(self, shelf: Shelf, load: Callable[[], Models]) -> None:
        super().__init__(name="models", daemon=True)
        self._shelf, self._load = shelf, load
        self.on_error: Callable[[], None] = lambda: None
        self._streams: dict[str, Generator[Piece, None, None]] = {}
        self.loaded = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        """Run in the thread: load the models and work until the shelf is closed."""
        try:
            models = self._load()
        except Exception as error:
            self.error = error
            self.loaded.set()
            self.on_error()
            return
        self.loaded.set()
        while (recording := self._shelf.next(first_seconds_first)) is not None:
            self._advance(models, recording)
            self._drop_removed()
        models.close()

    def _advance(self, models: Models, recording: Recording) -> None:
        """Process one piece of one recording."""
        try:
            if recording.id not in self._streams:
                _look(recording)
                self._streams[recording.id] = models.stream(recording.source, batch_size=models.batch_size)
            piece = next(self._streams[recording.id], None)
            if piece is not None:
                _keep(recording, piece)
            complete = piece is None
            if complete:
                recording.frames = recording.enhanced_path.stat().st_size // (4 * recording.channels)
            enough = complete or recording.done_seconds >= PREVIEW_SECONDS
            if recording.wants_preview and recording.preview is None and enough:
                recording.preview = make_preview(recording)
            if complete:
                self._end(recording, "done")
        except Exception as error:
            if not recording.removed:
                self._fail(recording, error)
        if recording.removed:
            recording.erase()

    def _fail(self, recording: Recording, error: Exception) -> None:
        if not isinstance(error, (DacseError, OSError, ApiError)):
            traceback.print_exception(error, file=sys.stderr)
        recording.problem = problem_of(error)
        self._end(recording, "failed")

    def _end(self, recording: Recording, state: str) -> None:
        stream = self._streams.pop(recording.id, None)
        if stream is not None:
            stream.close()
        recording.end(state)

    def _drop_removed(self) -> None:
        unfinished = {one.id for one in self._shelf.unfinished()}
        for key in set(self._streams) - unfinished:
            self._streams.pop(key).close()


def first_seconds_first(todo: list[Recording]) -> Recording:
    """The order of work: first the first seconds of every recording with a preview, then one by one."""
    waiting = (one for one in todo if one.wants_preview and one.preview is None)
    return next(waiting, todo[0])


def _look(recording: Recording) -> None:
    """Read the recording's header. Raises `InputError`, or `ApiError` if it is too long or too large."""
    from dacse_cli.audio.probe import probe

    info = probe(recording.source)
    if info.seconds > LONGEST_SECONDS:
        raise ApiError(413, "too_long", f"at most {LONGEST_SECONDS / 3600:g} hours per recording")
    recording.frames, recording.channels = info.frames, info.channels
    check_space(recording.folder, 2 * recording.sample_bytes)
    recording.sample_rate, recording.state = info.sample_rate, "working"
    recording.enhanced_path.touch(mode=0o600)


def _keep(recording: Recording, piece: Piece) -> None:
    """Append a piece to the recording's file. Raises `ApiError` if the disk is full."""
    check_space(recording.folder, piece.samples.nbytes)
    with recording.enhanced_path.open("r+b") as file:
        file.seek(0, 2)
        file.write(np.ascontiguousarray(piece.samples.T, np.float32).tobytes())
        recording.done_seconds = file.tell() / (4 * recording.channels * recording.sample_rate)
    if piece.guard is not None:
        recording.notes.extend(piece.guard.warnings())
