"""Free memory of a device, and how many rows of a batch fit it."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP_FILES = (  # (limit, in use): version 2, then version 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
SHARE = 0.9  # the rest is for scratch memory, fragmentation and other processes


def fit_batch(row_bytes: int, free_bytes: int, cap: int) -> int:
    """Rows of `row_bytes` that fit `SHARE` of the free memory: at least 1, at most `cap`."""
    return max(1, min(cap, int(free_bytes * SHARE) // max(1, row_bytes)))


def free_memory(device: str) -> int:
    """Bytes a process may still allocate on `device`."""
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(torch.device(device))
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + cached)
    return free_host_memory()


def free_host_memory(meminfo: Path = Path("/proc/meminfo"), root: Path = Path("/")) -> int:
    """Free main memory, limited by the container's limit.

    The memory that the system reports as available can be too much: a process beyond its cgroup's limit is
    killed.
    """
    free = _available(meminfo)
    for limit, used in CGROUP_FILES:
        allowed, taken = _number(root / limit[1:]), _number(root / used[1:])
        if allowed is not None and taken is not None:
            free = min(free, max(0, allowed - taken))
    return free


def _available(meminfo: Path) -> int:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return _half_of_all()


def _half_of_all() -> int:
    """Half of the memory: a guess where the system does not report free memory (macOS, Windows)."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 << 30


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # absent, or "max"
        return None
