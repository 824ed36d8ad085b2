"""What the machine is, which way of decoding it takes and why; and the tests that need a GPU."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import torch
from rows import Rows, part_options
from timing import config_of, random_model

from dacse_cli.lm.bandwidth import read_bandwidth

ROOT = Path(__file__).parents[2]
PACKAGES = ("torch", "triton", "transformers", "numba", "numpy")
TESTS = (
    ["-m", "gpu", "tests/lm", "tests/codec"],
    ["tests/lm/test_lm_split.py", "tests/lm/test_lm_golden.py"],
)
"""Tests that need the device, and those of its kernels that otherwise run in Triton's interpreter."""


def machine(rows: Rows, device: str, tiny: bool) -> None:
    """Versions, bandwidth, speed of a matrix product, and the way of decoding per dtype and cache."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"
    rows.add("device", "name", name)
    for package in PACKAGES:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        rows.add("version", package, version)
    rows.add("version", "CUDA of torch", str(torch.version.cuda))
    rows.add("bandwidth", "a plain read, GB per second", read_bandwidth(device) / 1e9)
    rows.add("product", "bfloat16 matrix product, TFLOP per second", matrix_speed(device, tiny) / 1e12)
    config = config_of("nano" if tiny else "1b", 1 if tiny else 3)
    for dtype in ("float32", "bfloat16"):
        for kv in ("auto", "fp8"):
            lm = random_model(config, device, getattr(torch, dtype), kv=kv)
            rows.add("decoder", f"{dtype}, cache {kv}", lm.describe(), "CUDA: Triton, CUDA graphs")


def matrix_speed(device: str, tiny: bool) -> float:
    """FLOP per second of a large bfloat16 product, the best of some: what training can reach at most."""
    from timing import seconds

    size = 256 if tiny else 8192
    a, b = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
    taken = min(seconds(lambda: a @ b, device) for _ in range(5))
    return 2 * size**3 / max(taken, 1e-9)


def tests(rows: Rows, device: str, tiny: bool) -> None:
    """The last line of pytest."""
    for words in TESTS:
        what = " ".join(words)
        if device == "cpu":
            rows.add("tests", what, "not measured: this is a CPU", "all pass")
            continue
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip().splitlines()
        failed = [line for line in said if line.startswith(("FAILED", "ERROR"))]
        rows.add("tests", what, said[-1] if said else "no output", "all pass")
        for line in failed[:20]:
            rows.add("tests", "failed", line[:200])


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    options = part_options(arguments)
    rows = Rows(options.rows)
    {"machine": machine, "tests": tests}[options.part](rows, options.device, options.tiny)
    return rows.rows


if __name__ == "__main__":
    main()
