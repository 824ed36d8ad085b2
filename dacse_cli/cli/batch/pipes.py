"""`-` as an input or an output: standard input or standard output as one file.

Audio cannot be read or written in a single pass (headers contain lengths), so a pipe's bytes are kept in a
temporary folder. Only a complete file is written to standard output.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from dacse_cli.audio.containers.kinds import HEAD, kind_of_head
from dacse_cli.audio.formats import suffix_for
from dacse_cli.errors import OutputError, UsageError
from dacse_cli.files.problems import reason
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run.forecast import Forecast
from dacse_cli.pipeline.wire.events import Ended, Event
from dacse_cli.pipeline.wire.outcome import Result
from dacse_cli.tokens.names import SUFFIX

PIPE = "-"
Row = TypeVar("Row", Result, Forecast)
"""A row that names an input and its output."""


@dataclass(frozen=True)
class Piped:
    """A request with files in place of pipes: `inlet` for standard input, `outlet` for standard output."""

    request: Request
    inlet: Path | None = None
    outlet: Path | None = None

    def as_typed(self, row: Row) -> Row:
        """`row` with `-` in place of a pipe's file."""
        source = PIPE if self.inlet and row.source == str(self.inlet) else row.source
        target = PIPE if self.outlet and row.target == str(self.outlet) else row.target
        return replace(row, source=source, target=target)

    def event_as_typed(self, event: Event) -> Event:
        """`event` with `-` in place of a pipe's file."""
        return Ended(self.as_typed(event.result)) if isinstance(event, Ended) else event

    def write_stdout(self) -> None:
        """Write the finished file to standard output. Raises `OutputError`."""
        if self.outlet is None:
            return
        try:
            with self.outlet.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise OutputError("standard output was closed before the result was written") from None
        except (OSError, ValueError) as error:  # full, or no standard output at all
            words = reason(error) if isinstance(error, OSError) else "it is closed"
            raise OutputError(f"standard output cannot be written: {words}") from None


@contextmanager
def piped(request: Request) -> Iterator[Piped]:
    """`request` with temporary files in place of `-`. Raises `UsageError` for more than one input."""
    reads, writes = PIPE in request.inputs, request.output == PIPE
    if not reads and not writes:
        yield Piped(request)
        return
    if len(request.inputs) != 1:
        raise UsageError("- must be the only input", hint="For several files, name files or folders.")
    if reads and request.output is None:
        raise UsageError("reading standard input needs -o", hint="Give -o NAME, or -o - for a pipe.")
    request = replace(request, passing=True)
    with tempfile.TemporaryDirectory(prefix="dacse-") as folder:
        inlet = _spool(Path(folder), request.form) if reads else None
        source = inlet or Path(request.inputs[0])
        if not writes:
            yield Piped(replace(request, inputs=(str(source),)), inlet)
            return
        if not source.is_file():
            raise UsageError(f"with - as output, the input must be one file, not {source}")
        outlet = Path(folder) / f"stdout{_suffix(request, source)}"
        yield Piped(replace(request, inputs=(str(source),), output=str(outlet)), inlet, outlet)


def _spool(folder: Path, form: str) -> Path:
    """Standard input as a file with the suffix of its format, detected from its first bytes."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "standard input is not a pipe", hint="For example: cat talk.wav | dacse enhance - clean.wav"
        )
    start = sys.stdin.buffer.read(HEAD)
    kind = kind_of_head(start)
    name = f"stdin{SUFFIX}.safetensors" if form == "detokenize" else f"stdin{kind.suffix if kind else '.wav'}"
    with (folder / name).open("wb") as file:
        file.write(start)
        shutil.copyfileobj(sys.stdin.buffer, file)
    return folder / name


def _suffix(request: Request, source: Path) -> str:
    if request.form == "tokenize":
        return ".dac" if request.codes_format == "dac" else f"{SUFFIX}.{request.codes_format}"
    if request.form == "detokenize":
        return suffix_for("wav" if request.sound.format == "keep" else request.sound.format, ".wav")
    return suffix_for(request.sound.format, source.suffix)
