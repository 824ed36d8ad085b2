"""Which device and number format a run uses."""

from __future__ import annotations

import torch

from dacse_cli.config import check_devices
from dacse_cli.errors import DeviceError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(name: str) -> str:
    """`auto` -> the best available device; others are checked to exist. Raises `DeviceError`."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    check_devices(name)
    if name == "all" or "," in name:
        raise DeviceError(f"{name} are several devices, and one is needed here")
    kind, _, index = name.partition(":")
    if kind == "cuda":
        _require_cuda(int(index or 0))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("this machine or this torch has no MPS (Apple GPU)", hint='use `device="cpu"`')
    return name


def _require_cuda(index: int) -> None:
    if not torch.cuda.is_available():
        built = "finds no usable CUDA device" if torch.version.cuda else "is built without CUDA"
        raise DeviceError(f"torch {torch.__version__} {built}", hint='use `device="cpu"`')
    if index >= torch.cuda.device_count():
        raise DeviceError(f"there is no cuda:{index}, only {torch.cuda.device_count()} CUDA device(s)")


def cuda_devices() -> int:
    """How many CUDA devices there are."""
    return torch.cuda.device_count()


def resolve_dtype(name: str, device: str) -> torch.dtype:
    """`auto` -> bfloat16 on CUDA devices built for it, else float32. Raises `DeviceError`.

    On a CPU it depends on the network as well: `cpu.attention.fastest_dtype`.
    """
    if name == "auto":
        fast = device.startswith("cuda") and torch.cuda.get_device_capability(torch.device(device)) >= (8, 0)
        return torch.bfloat16 if fast else torch.float32
    if name not in DTYPES:
        raise DeviceError(f"{name!r} is not a number format", hint=f"use auto, {', '.join(DTYPES)}")
    return DTYPES[name]
