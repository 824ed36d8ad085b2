"""Locks on open files, which the kernel releases however their process ends.

On file systems without locks, and on Windows, every lock succeeds: there, the user must ensure that two runs
do not write into one folder.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from dacse_cli.files.regular import open_own

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock of an open file until it is closed; False where another process holds it.

    Any number of processes may hold it `shared`, or one alone. Raises `OSError`.
    """
    if os.name != "posix":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of the file at `path` alone."""
    try:
        descriptor = open_own(path, os.O_RDONLY)
    except OSError:  # removed meanwhile, or not a file made by dacse
        return False
    try:
        return not lock(descriptor, shared=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
