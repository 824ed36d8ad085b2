"""Names of devices and formats, and free memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dacse_cli.errors import DeviceError
from dacse_cli.lm.device import resolve_device, resolve_dtype
from dacse_cli.lm.memory import free_host_memory, free_memory


def test_auto_is_something_that_is_there() -> None:
    """Fails when `auto` names a device this machine lacks."""
    torch.zeros(1, device=resolve_device("auto"))
    assert resolve_device("cpu") == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "cpu:1", "mps:0", "", "CUDA:-1", "cuda:99"])
def test_impossible_devices_are_refused(name: str) -> None:
    """Fails when a typing error surfaces as a torch traceback after the model was fetched."""
    with pytest.raises(DeviceError):
        resolve_device(name)


def test_a_missing_cuda_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the message does not tell a CPU build of torch from a machine without a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceError, match="built without CUDA"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(DeviceError, match="no usable CUDA device"):
        resolve_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DeviceError, match="no cuda:1, only 1"):
        resolve_device("cuda:1")


def test_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when an old GPU gets a bfloat16 it emulates, or a CPU gets one it is slow at."""
    assert resolve_dtype("auto", "cpu") is torch.float32
    assert resolve_dtype("float16", "cpu") is torch.float16
    for capability, dtype in {(9, 0): torch.bfloat16, (7, 5): torch.float32}.items():
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, c=capability: c)
        assert resolve_dtype("auto", "cuda:0") is dtype
    with pytest.raises(DeviceError, match="number format"):
        resolve_dtype("int8", "cpu")


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_limits_memory(tmp_path: Path, version: int) -> None:
    """Fails when a batch is planned for the machine's memory and the container's limit kills the run."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n")
    assert free_host_memory(meminfo, tmp_path) == 8_000_000 * 1024
    base = tmp_path / "sys/fs/cgroup" / ("" if version == 2 else "memory")
    base.mkdir(parents=True)
    limit, used = (
        ("memory.max", "memory.current")
        if version == 2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    )
    (base / limit).write_text("3000000000\n")
    (base / used).write_text("1000000000\n")
    assert free_host_memory(meminfo, tmp_path) == 2_000_000_000
    (base / limit).write_text("max\n")
    assert free_host_memory(meminfo, tmp_path) == 8_000_000 * 1024


def test_memory_is_guessed_where_the_system_is_silent(tmp_path: Path) -> None:
    """Fails when a machine without /proc plans for no memory at all, or crashes."""
    assert free_host_memory(tmp_path / "absent", tmp_path) > 1 << 28
    assert free_memory("cpu") > 1 << 20
