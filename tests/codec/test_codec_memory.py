"""The allocator setting, in a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from dacse_cli.codec import memory

FAULTS = """
import resource, sys
from dacse_cli.codec.memory import tune_allocator
if sys.argv[1] == "tuned":
    assert tune_allocator()
import numpy as np
def work():
    for _ in range(20):
        np.ones(16 << 20, np.uint8)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode):
    run = subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_blocks_are_used_again():
    """A constant of mallopt mistaken for another: the call succeeds and changes nothing."""
    assert faults("tuned") < 100


def test_other_systems_are_left_alone(monkeypatch):
    """macOS, Windows and musl have no mallopt; the codec runs there all the same."""
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert not memory.tune_allocator()
    monkeypatch.undo()
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not memory.tune_allocator()
