"""A private folder for recordings that is removed when the server ends, even if it is killed.

A second, tiny process waits for the end of a pipe that only the server holds open, and then removes the
folder. So files left by `kill -9` are removed after a moment.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

PREFIX = "dacse-serve-"
_WATCH = "import shutil, sys; sys.stdin.buffer.read(); shutil.rmtree(sys.argv[1], ignore_errors=True)"


class Workspace:
    """A context manager; `folder` can be read by this user alone."""

    def __enter__(self) -> Workspace:
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # mode 0700
        self._watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the server alone
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()
        assert self._watcher.stdin is not None
        with contextlib.suppress(OSError):
            self._watcher.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._watcher.wait(timeout=5)

    def remove(self) -> None:
        """Remove the folder now."""
        shutil.rmtree(self.folder, ignore_errors=True)
