"""Standard output and error as streams that nobody may be listening to."""

from __future__ import annotations

import os
from typing import TextIO


class Outlet:
    """Writes to `stream` until that fails; what cannot be written is dropped and the work goes on.

    `stream` is None where the process was started with it closed. `error` is what ended the writing.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write, if there is still anybody to read it."""
        if self._stream is not None and self.error is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._fall_silent(self._stream, error)
        return len(text)

    def flush(self) -> None:
        """Bring out what is buffered; this is where a full disk or a closed pipe shows."""
        if self._stream is not None and self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._fall_silent(self._stream, error)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    @property
    def encoding(self) -> str:
        """How text becomes bytes."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def _fall_silent(self, stream: TextIO, error: OSError) -> None:
        """Drop the buffer too, or Python fails once more when it flushes at exit."""
        self.error = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
