"""Opening files from outside: regular files only, without ever waiting.

A FIFO blocks the program that opens it, a device may do something when it is opened, and a symbolic link in
one of dacse's folders may lead to a file of another user.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from dacse_cli.files.names import shown

_ALWAYS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


class NotRegularError(OSError):
    """The path leads to a folder, FIFO, socket or device."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(errno.EINVAL, "not a regular file", os.fspath(path))


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """The file, unbuffered, for reading; symbolic links are followed.

    Raises `OSError`, `NotRegularError` for what is not a regular file.
    """
    return os.fdopen(_opened(path, os.O_RDONLY), "rb", buffering=0)


def open_own(path: str | os.PathLike[str], flags: int, mode: int = 0o666) -> int:
    """A descriptor of one of our own files, opened with `os.open`'s `flags`; no link is followed.

    Raises `OSError`: `NotRegularError` for what is not a regular file, ELOOP for a symbolic link.
    """
    return _opened(path, flags | getattr(os, "O_NOFOLLOW", 0), mode)


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """All of a file, or its first `limit` + 1 bytes where it is larger. Raises `OSError`."""
    with open_regular(path) as stream:
        data = bytearray()
        while len(data) <= limit and (block := stream.read(min(1 << 20, limit + 1 - len(data)))):
            data += block
    return bytes(data)


def _opened(path: str | os.PathLike[str], flags: int, mode: int = 0o666) -> int:
    try:
        # asked before opening, because opening a device can have an effect, and after it, because of races
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise NotRegularError(path)
    except FileNotFoundError:
        pass  # the next call makes the file, or says what is missing
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, "no name of a file", shown(str(path))) from error
    descriptor = os.open(path, flags | _ALWAYS, mode)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegularError(path)
    return descriptor
