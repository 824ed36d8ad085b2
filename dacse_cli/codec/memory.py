"""Settings of the C allocator and of threads that a process which runs the codec wants. Linux, glibc.

Called once by the process that owns the models, never at import: these are settings of a whole process.

A DAC pass allocates and frees buffers of tens of MiB by the hundred. glibc maps each afresh and gives it
back, so every pass touches its memory for the first time. Telling it to keep what it has ends that.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEEP = 1 << 30  # bytes; glibc takes an int


def tune_allocator() -> bool:
    """Make malloc reuse large blocks. True where it took effect; elsewhere nothing happens."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has no mallopt
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return bool(mallopt(_M_MMAP_THRESHOLD, _KEEP)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEEP))
