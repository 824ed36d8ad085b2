"""Files that are written completely or not at all, and never in place of an input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from dacse_cli.errors import UsageError
from dacse_cli.files.atomic import commit
from dacse_cli.pipeline.wire.outcome import OutputFile


class Writer(Protocol):
    """A sink, or a task that has one."""

    def abandon(self) -> None:
        """Remove what was written; may be called twice."""


def refuse_input(source: Path, targets: Iterable[Path], hint: str | None = None) -> None:
    """Raise `UsageError` where one of `targets` is the file `source`, by whatever name or link."""
    for target in targets:
        if target.exists() and target.samefile(source):
            raise UsageError(f"{target} is the input; inputs are never written to", hint=hint)


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
