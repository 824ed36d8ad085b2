"""Differences between operating systems: cores, resource limits, signals, exit statuses, open flags.

Everything here runs on Linux, macOS and Windows; where a system lacks something (process limits on
Windows), the function does nothing or says so.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Names of the signals that ask a run to stop; Windows has no SIGHUP."""


def cores() -> int:
    """Processor cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit(name: str, most: int) -> bool:
    """Lower a resource limit of this process (`RLIMIT_AS`, ...) to `most`; returns whether that worked.

    macOS refuses `RLIMIT_AS`, Windows has no limits.
    """
    try:
        import resource

        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (most, most))
    except (ImportError, AttributeError, ValueError, OSError):
        return False
    return True


def stop_signals() -> list[int]:
    """Numbers of the signals that stop a run here, without those that the caller ignores (nohup)."""
    numbers = [getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)]
    return [int(number) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def handling_stop_signals(handle: Callable[[int], None]) -> Iterator[None]:
    """Inside the context, `handle` is called with the number of each stop signal that arrives."""

    def note(signum: int, frame: FrameType | None) -> None:
        handle(signum)

    before: dict[int, Any] = {}
    try:
        for number in stop_signals():
            before[number] = signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def how_it_ended(code: int) -> str | None:
    """The exit status of a process that was killed or crashed, in words; else None."""
    if code >= 0:
        return None
    if -code == getattr(signal, "SIGKILL", 9):
        return "was killed, most likely because memory ran out"
    try:
        return f"crashed ({signal.Signals(-code).name})"
    except ValueError:
        return f"crashed (signal {-code})"


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the process `parent` ends; Linux only."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it ended before that call
        sys.exit()


def ignore_stop_signals() -> None:
    """Ignore stop signals, which a terminal sends to child processes too: the supervisor handles them."""
    for name in STOP_SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def tolerant_streams() -> None:
    """Make standard output and error write characters that their encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
