"""Process that reads inputs before a model gets them: headers first, then every sample.

Parsers of untrusted files run here, apart from the models and with limits: a crash costs one input.
Imports no torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from dacse_cli.audio.metadata.tags import rehearse
from dacse_cli.audio.probe import probe, scan
from dacse_cli.errors import DacseError
from dacse_cli.pipeline.wire.failures import failure_of
from dacse_cli.pipeline.wire.messages import Decoding, Look, Message, Seen, Unreadable
from dacse_cli.pipeline.wire.process import serve
from dacse_cli.platform import limit

MAX_MEMORY = 16 << 30
"""Bytes of address space; reading takes megabytes, but libraries reserve more on machines of many cores."""
PROGRESS_SECONDS = 1.0
"""Seconds between messages that say a file is still being decoded."""


def handle(messages: Iterator[Message], answer: Callable[[Message], None]) -> None:
    """Send one answer per `Look`, in order, preceded by `Decoding` messages if reading takes long."""
    for look in messages:
        if not isinstance(look, Look):
            continue
        told = [time.monotonic()]

        def on_progress(seconds: float, told: list[float] = told) -> None:
            if time.monotonic() - told[0] >= PROGRESS_SECONDS:
                told[0] = time.monotonic()
                answer(Decoding(seconds))

        try:
            answer(_seen(look, on_progress))
        except DacseError as error:
            answer(Unreadable(look.id, failure_of(error)))


def _seen(look: Look, on_progress: Callable[[float], None]) -> Seen:
    """Raises `InputError`."""
    if not look.whole:
        info = probe(look.path)
        if info.frames:
            return Seen(look.id, info)
        # the header does not give the length, so the file is decoded completely, once
    found = scan(look.path, on_progress)
    rehearse(look.path)
    return Seen(look.id, found.info, found)


def confine() -> None:
    """Limit what a parser can do after a hostile file has taken it over: it can write no files."""
    limit("RLIMIT_AS", MAX_MEMORY)
    limit("RLIMIT_FSIZE", 0)
    limit("RLIMIT_CORE", 0)


if __name__ == "__main__":
    confine()
    serve(handle)
