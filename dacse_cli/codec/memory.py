"""A setting of the C allocator for processes that run the codec. Linux with glibc.

Called once by the process that owns the models, never at import: it holds for the whole process.

A DAC pass allocates and frees buffers of tens of MiB by the hundred. glibc maps each afresh and gives it
back, so every pass touches its memory for the first time. Telling it to keep what it has ends that. Measured
with a random 44.1 kHz model (76.6 M parameters) encoding and decoding 2 s of sound, torch 2.13, glibc 2.36,
two shared cores: 690,000 page faults a pass become none; 1 thread 6.8 s -> 5.5 s; 2 threads 10.6 s -> between
4.3 s and 10.7 s (the cores were busy). By CPU time, 1.5 s of sound on 1 thread: 4.6 s -> 4.1 s. Peak memory
rises by up to 11 %.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEEP = 1 << 30  # bytes; glibc takes an int


def tune_allocator() -> bool:
    """Make malloc reuse large blocks. True if it took effect; without glibc nothing happens."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has no mallopt
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return bool(mallopt(_M_MMAP_THRESHOLD, _KEEP)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEEP))
