"""Standard output and standard error as streams that may be closed."""

from __future__ import annotations

import os
from typing import TextIO


class Outlet:
    """Writes to `stream` until a write fails; later text is dropped, so that the command can continue.

    `stream` is None if the process was started with it closed. `error` is the error of the failed write.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write, unless an earlier write has failed."""
        if self._stream is not None and self.error is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._stop(self._stream, error)
        return len(text)

    def flush(self) -> None:
        """Write buffered text; a full disk or a closed pipe is often noticed only here."""
        if self._stream is not None and self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._stop(self._stream, error)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    @property
    def encoding(self) -> str:
        """Encoding of the text."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def _stop(self, stream: TextIO, error: OSError) -> None:
        """Store the error and discard the buffer, so that Python's flush at exit does not fail again."""
        self.error = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
