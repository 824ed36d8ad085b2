"""Files that are written completely or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from dacse_cli.files.atomic import commit
from dacse_cli.pipeline.wire.outcome import OutputFile


class Writer(Protocol):
    """A sink, or a task that has one."""

    def abandon(self) -> None:
        """Remove what was written; may be called twice."""


@contextmanager
def whole_files(writer: Writer) -> Iterator[list[OutputFile]]:
    """Collect finished files in the list; after the block they get their final names.

    If the block fails or Ctrl-C ends it, `writer` is abandoned and no file is left. Raises `OutputError` if a
    file cannot be renamed.
    """
    files: list[OutputFile] = []
    try:
        yield files
    except BaseException:
        writer.abandon()
        raise
    for file in files:
        commit(file.temp, file.target)
