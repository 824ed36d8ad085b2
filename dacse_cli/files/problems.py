"""Errors of the operating system in words, and which of them concern one file only.

A full disk stops a run. A name that this disk does not take, or a folder where a file should go, fails that
file alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dacse_cli.errors import DacseError, InputError, OutputError
from dacse_cli.files.names import shown
from dacse_cli.files.regular import NotRegularError

_REASONS = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file may not be this large here (file size limit)",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "the disk reports an input/output error",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.EISDIR: "a folder of that name is in the way",
    errno.ENOTEMPTY: "a folder of that name is in the way",
    errno.EXDEV: "the folder was moved to another disk",
    errno.ENOENT: "no such file",
    errno.ELOOP: "a symbolic link is in the way",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EMFILE: "too many files are open (see ulimit -n)",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENODEV: "the disk is gone",
    errno.ESTALE: "the network disk is gone",
    errno.EPIPE: "the reader of the pipe has left",
}
_THIS_FILE_ONLY = {
    errno.ENAMETOOLONG: "name-too-long",
    errno.EINVAL: "name-refused",
    errno.EILSEQ: "name-refused",
    errno.EISDIR: "in-the-way",
    errno.ENOTEMPTY: "in-the-way",
    errno.ENOTDIR: "in-the-way",
    errno.EEXIST: "in-the-way",
}
"""Error -> reason code of an input that fails alone."""


def concerns_name(error: OSError) -> bool:
    """Whether the path itself is the cause: an invalid name, or something else at this path."""
    return error.errno in _THIS_FILE_ONLY or error.errno == errno.ELOOP


def reason(error: OSError) -> str:
    """`error` in words, without the path."""
    if isinstance(error, NotRegularError):
        return "not a regular file"
    return _REASONS.get(error.errno or 0) or shown(error.strerror or str(error) or type(error).__name__)


def output_error(error: OSError, path: Path) -> OutputError:
    """The error for `path` that cannot be written, where nothing else could be written either."""
    room = _free_space(path) if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return OutputError(f"cannot write {path}: {reason(error)}{room}")


def file_error(error: OSError, path: Path) -> DacseError:
    """The error for one output of many: an `InputError` where the others can still be written."""
    code = "in-the-way" if isinstance(error, NotRegularError) else _THIS_FILE_ONLY.get(error.errno or 0)
    if code is None:
        return output_error(error, path)
    if code == "name-too-long":
        return name_too_long(path)
    if code == "name-refused":
        return InputError(f'this disk does not take the name "{path.name}"', reason=code)
    return InputError(f"cannot write {path}: {reason(error)}", reason=code)


def name_too_long(path: Path) -> InputError:
    """The error for a name of more bytes than a file system takes."""
    return InputError(f'name too long for "{path.name}"', reason="name-too-long")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn any `OSError` inside into `output_error` of `path`."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path) from error


def _free_space(path: Path) -> str:
    """Free space in bytes and, if there is plenty, in files."""
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return ""
    files = _free_files(path.parent)
    if files == 0:
        return " (no room for one more file: the disk has no inodes left)"
    return f" ({free / 1e6:,.1f} MB free)"


def _free_files(folder: Path) -> int | None:
    """Number of files that can still be created; None where the file system does not count them."""
    if not hasattr(os, "statvfs"):
        return None
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_favail if found.f_files else None
