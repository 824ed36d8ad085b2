"""Which model `auto` means on this machine, and why. Imports no torch, so that commands report it early."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.config import AUTO_MODEL, DEFAULT_MODEL, check_devices
from dacse_cli.errors import ModelError
from dacse_cli.hub.resolve import resolve

BUILT_IN = "nano"


@dataclass(frozen=True)
class Choice:
    """A model's name, and the reason in a few words; empty if the user named the model."""

    model: str
    reason: str = ""

    def describe(self) -> str:
        """One line for the user, which fits 80 columns after `dacse: `."""
        if self.model == BUILT_IN:
            return f"model {BUILT_IN}, a filter ({self.reason}); or `model={DEFAULT_MODEL}`"
        return f"model {self.model} ({self.reason}); or `model={BUILT_IN}`"


def choose_model(named: str, device: str, *, offline: bool) -> Choice:
    """`named`, unless that is `auto`: the released model where a GPU can run it, else the built-in one.

    If the user names a `device`, the released model is chosen where it is on this disk. Raises `DeviceError`
    for an unknown device.
    """
    if named != AUTO_MODEL:
        return Choice(named)
    check_devices(device)
    if device == "auto":
        if not has_gpu():
            return Choice(BUILT_IN, "no GPU found")
        if offline and not is_cached():
            return Choice(BUILT_IN, "DAC-SE1 not cached")
        return Choice(DEFAULT_MODEL, "GPU found")
    if is_cached():
        return Choice(DEFAULT_MODEL, "in the cache, `device` given")
    if device in ("cpu", "mps") or offline:
        return Choice(BUILT_IN, "DAC-SE1 not cached")
    return Choice(DEFAULT_MODEL, "`device` given")


def is_cached() -> bool:
    """Whether the released model is on this disk."""
    try:
        resolve(DEFAULT_MODEL, kind="model", offline=True)
    except ModelError:
        return False
    return True


def has_gpu() -> bool:
    """Whether CUDA's driver finds a device (it honours CUDA_VISIBLE_DEVICES), or AMD's is there."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL(name)
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value > 0
    except (OSError, AttributeError):
        pass
    return Path("/dev/kfd").exists()
