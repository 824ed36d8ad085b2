"""The Triton kernels through Triton's compiler for GPUs that are not here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")
SCRIPT = Path(__file__).with_name("compile_kernels.py")


def compile_for(tmp_path: Path, *options: str) -> list[dict[str, object]]:
    """Runs in a process of its own: this one may have Triton's interpreter in place of the compiler."""
    env = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    env |= {"TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(kernels: list[dict[str, object]]) -> None:
    for kernel in kernels:
        assert kernel["spilled"] == 0, kernel
        if kernel["kernel"] == "attend":
            assert kernel["conversions_in_loop"] == 0, kernel
            assert kernel["wide_loads"] >= 4, kernel
            assert kernel["registers"] <= 128, kernel  # four programs of four warps on a processor


@pytest.mark.ci
def test_kernels_compile_for_an_h100(tmp_path: Path) -> None:
    """Fails when the compiler refuses what the interpreter runs, or the loop would crawl on a GPU."""
    kernels = compile_for(tmp_path)
    assert [kernel["stored"] for kernel in kernels] == ["bf16", "fp8e4nv"]
    check(kernels)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["80", "90", "100"])
def test_kernels_compile_for_every_kind(tmp_path: Path, arch: str) -> None:
    """Fails when one number format, head dimension or generation of GPUs is refused."""
    check(
        compile_for(
            tmp_path, "--arch", arch, "--dtype", "bf16", "fp16", "--dim", "64", "128", "--stored", "bf16"
        )
    )
    check(
        compile_for(
            tmp_path, "--all", "--arch", arch, "--dtype", "fp32", "--dim", "64", "128", "--stored", "fp32"
        )
    )
    if arch != "80":
        check(compile_for(tmp_path, "--arch", arch, "--dim", "64", "128", "--stored", "fp8e4nv"))
