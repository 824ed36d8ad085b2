"""Child process that looks at inputs before a model sees them: headers first, then every sample.

Parsers of foreign files run here, apart from the models and under limits: a crash costs one input. Imports
no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from dacse_cli.audio.metadata.tags import rehearse
from dacse_cli.audio.probe import probe, scan
from dacse_cli.errors import InputError
from dacse_cli.pipeline.wire.process import Message, serve

MAX_MEMORY = 16 << 30
"""Bytes of address space; reading takes megabytes, but libraries reserve more on machines of many cores."""


def handle(commands: Iterator[Message], answer: Callable[[Message], None]) -> None:
    """`probe` and `scan` commands with an `id` and a `path`; answers carry the same `id`."""
    for command in commands:
        look = scan if command["type"] == "scan" else probe
        try:
            found = look(Path(command["path"]))
            if command["type"] == "scan":
                rehearse(Path(command["path"]))
            answer({"type": command["type"], "id": command["id"], "facts": found.to_json()})
        except InputError as error:
            facts = {"reason": error.reason, "message": error.message, "hint": error.hint}
            answer({"type": "bad", "id": command["id"], **facts})


def confine() -> None:
    """Limit what a parser that a hostile file has taken over, or filled up, can do. It writes no files."""
    try:
        import resource
    except ImportError:  # no POSIX
        return
    for limit, most in (
        (resource.RLIMIT_AS, MAX_MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))


if __name__ == "__main__":
    confine()
    serve(handle)
