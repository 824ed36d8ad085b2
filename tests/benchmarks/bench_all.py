"""All ratios of decoding on one machine, one table: a GPU's in under ten minutes, or a trial of it on a CPU.

    python tests/benchmarks/bench_all.py --device cuda --json gpu.json
    python tests/benchmarks/bench_all.py --device cpu --trial

First the tests that need the device (codes against a CPU's), then single steps at two lengths of context by
every way of attending, then whole generations against transformers'. Rows keep their names from the package's
goals; what this machine cannot give is said to be not measured, with the reason. A trial runs the same
commands with a model and lengths so small that its figures say nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_decode
import bench_steps
import torch
from timing import table

ROOT = Path(__file__).parents[2]
ABSENT = {
    "R3": "vLLM is not among the package's dependencies",
    "R7": "needs a profiler's view of the device",
    "R9": "an int8 cache exists on CPUs only: bench_steps.py and bench_precision.py there",
}


@dataclass(frozen=True)
class Scale:
    """How large the model, the batches and the contexts are."""

    shape: str
    layers: int | None
    batches: tuple[int, ...]
    context: tuple[int, int]
    prompt: int
    tokens: int
    repeats: int


FULL = Scale("1b", None, (1, 8, 32, 64), (3099, 6193), 3098, 512, 3)
TRIAL = Scale("nano", 1, (1, 2), (40, 80), 30, 8, 1)


def row(name: str, what: str, value: object, goal: str) -> dict[str, object]:
    return {"id": name, "what": what, "measured": value, "goal": goal}


def tests_of_device(device: str) -> dict[str, object]:
    """Whether the device writes what a CPU writes."""
    said = "not measured: this is a CPU"
    if device != "cpu":
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/lm", "tests/codec"]
        said = (
            subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip().splitlines()[-1]
        )
    return row("codes", "tests against a CPU", said, "all pass")


def rows_of_steps(steps: list[dict[str, Any]], scale: Scale) -> list[dict[str, object]]:
    """R2, R5, R6 and, on a CPU, R17, from single steps of the package's best way."""
    names = {step["attention"] for step in steps}
    best = "own" if "own" in names else "torch"
    ours = {(s["batch"], s["context"]): s for s in steps if s["attention"] == best}
    few, many, (short, long) = scale.batches[0], scale.batches[-1], scale.context
    speed = {batch: ours[batch, short]["tokens/s"] for batch in (few, many)}
    grown = ours[many, long]
    rows = [
        row("R2", f"share of the read bandwidth, batch {few}", ours[few, short]["bandwidth"], ">= 0.55"),
        row("R2", f"share of the read bandwidth, batch {many}", ours[many, short]["bandwidth"], ">= 0.75"),
        row("R5", f"growth {short} to {long}, time over bytes", grown["growth"] / grown["bytes"], "0.9-1.1"),
        row("R6", f"tokens a second, batch {many} over {few}", speed[many] / speed[few], "reported"),
    ]
    for batch in scale.batches:
        what = f"a step, torch's attention over {best}, batch {batch}"
        rows.append(row("R17", what, ours[batch, short]["x torch"], "CPU: 2, 3.5, 5"))
    return rows


def rows_of_generation(results: list[dict[str, Any]]) -> list[dict[str, object]]:
    """R1 and R4 of the language model, from whole generations."""
    rows = []
    static = {r["batch"]: r["ratio"] for r in results if r["way"] == "batched"}
    for ours in (r for r in results if r["way"] == "dacse"):
        batch, ratio = ours["batch"], ours["ratio"]
        rows += [
            row("R1", f"tokens a second over the published way's, batch {batch}", ratio, "GPU: >= 50 at 64"),
            row("R4", f"over transformers' static cache, batch {batch}", ratio / static[batch], ">= 1.5"),
            row(
                "ids", f"equal to the published way's, batch {batch}", ours["same_first_row"], "1 in float32"
            ),
        ]
    return rows


def measure(device: str, scale: Scale) -> list[dict[str, object]]:
    """Every row, in the order it is measured."""
    cpu = device == "cpu"
    common = ["--device", device, "--repeats", str(scale.repeats)]
    threads = ["--threads", "1"] if cpu else []
    steps = [
        "--shape",
        scale.shape,
        "--context",
        *map(str, scale.context),
        "--batch",
        *map(str, scale.batches),
    ]
    steps += ["--layers", str(scale.layers)] if scale.layers else []
    decode = ["--shape", scale.shape, "--prompt", str(scale.prompt), "--tokens", str(scale.tokens)]
    decode += ["--batch", str(scale.batches[0]), str(scale.batches[-1])]
    rows = [tests_of_device(device)]
    rows += rows_of_steps(bench_steps.main([*steps, *common, *threads, "--dtype", "bfloat16"]), scale)
    rows += rows_of_generation(bench_decode.main([*decode, *common, *threads]))
    return rows + [row(name, "-", f"not measured: {why}", "-") for name, why in ABSENT.items()]


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--trial", action="store_true", help="a tiny size: shows that the commands run")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    rows = measure(options.device, TRIAL if options.trial else FULL)
    print("\n" + table(rows), flush=True)
    if options.json:
        name = torch.cuda.get_device_name() if options.device.startswith("cuda") else "CPU"
        about = {"device": name, "torch": torch.__version__, "trial": options.trial}
        options.json.write_text(json.dumps(about | {"rows": rows}, indent=1))
    return rows


if __name__ == "__main__":
    main()
