"""Checksums of files, in constant memory."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

_BLOCK = 1 << 20


class Hash(Protocol):
    """A hash of `hashlib`, as far as it is used here."""

    def update(self, data: memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


def file_sha256(path: Path) -> str:
    """sha256 of a file. Raises `OSError`."""
    return file_digest(path, hashlib.sha256())


def file_digest(path: Path, state: Hash) -> str:
    """The digest of `state` continued by all bytes of a file. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        return _continued(descriptor, state)
    finally:
        os.close(descriptor)


def descriptor_sha256(descriptor: int) -> str:
    """sha256 of an open file from its start. Raises `OSError`."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return _continued(descriptor, hashlib.sha256())


def _continued(descriptor: int, state: Hash) -> str:
    while block := os.read(descriptor, _BLOCK):
        state.update(memoryview(block))
    return state.hexdigest()
