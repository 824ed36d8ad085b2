"""Checksums of files, in constant memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dacse_cli.files.regular import open_regular

Between = Callable[[], None] | None
"""Called between the blocks of a long reading; may raise to end it."""
_BLOCK = 1 << 20


class Hash(Protocol):
    """A hash of `hashlib`, as far as it is used here."""

    def update(self, data: memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


def file_sha256(path: Path, between: Between = None) -> str:
    """sha256 of a regular file. Raises `OSError`, and what `between` raises."""
    return file_digest(path, hashlib.sha256(), between)


def file_digest(path: Path, state: Hash, between: Between = None) -> str:
    """The digest of `state` continued by all bytes of a regular file. Raises as `file_sha256` does."""
    with open_regular(path) as stream:
        return _continued(stream.fileno(), state, between)


def descriptor_sha256(descriptor: int) -> str:
    """sha256 of an open file from its start. Raises `OSError`."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return _continued(descriptor, hashlib.sha256())


def _continued(descriptor: int, state: Hash, between: Between = None) -> str:
    while block := os.read(descriptor, _BLOCK):
        state.update(memoryview(block))
        if between is not None:
            between()
    return state.hexdigest()
