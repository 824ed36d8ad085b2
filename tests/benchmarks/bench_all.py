"""All ratios of decoding on one machine, one table: a GPU's in under ten minutes, or a trial of it on a CPU.

    python tests/benchmarks/bench_all.py --device cuda --json gpu.json
    python tests/benchmarks/bench_all.py --device cpu --trial

First the tests that need the device (codes against a CPU's), then single steps at two lengths of context by
every way of attending, whole generations against transformers', the stages of a folder, and what rounding
the cache costs `nano` in quality. Rows keep their names from the package's goals; what this machine cannot
give is said to be not measured, with the reason. A trial runs the same commands with a model and lengths so
small that its figures say nothing. Needs `dacse[dev,evaluate]`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_decode
import bench_folder
import bench_precision
import bench_steps
import numpy as np
import torch
from timing import config_of, occupied, random_model, ranges_of, table

ROOT = Path(__file__).parents[2]
ABSENT = {
    "R3": "vLLM is not among the package's dependencies",
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
    clips: int
    """Chunks of `seconds` in a folder, and of `nano`'s length for the quality of a rounded cache."""
    seconds: float
    codec: dict[str, int]


FULL = Scale("1b", None, (1, 8, 32, 64), (3099, 6193), 3098, 512, 3, 64, 2.0, {})
TRIAL = Scale(
    "nano", 1, (1, 2), (40, 80), 30, 8, 1, 2, 0.1, {"encoder_hidden_size": 8, "decoder_hidden_size": 64}
)


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
    rounded = next(s for s in steps if s["batch"] == many and s["context"] == long and "8" in s["attention"])
    what = f"speed of {rounded['attention']} over {best}, batch {many}, context {long}"
    return [*rows, row("R9", what, grown["ms/step"] / rounded["ms/step"], "CUDA: >= 1.6")]


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


def row_of_waiting(device: str, scale: Scale) -> list[dict[str, object]]:
    """R7, of a whole generation with its prefill."""
    config = config_of(scale.shape, scale.layers)
    lm, ranges, rows = random_model(config, device, torch.bfloat16), ranges_of(config), scale.batches[-1]
    prompts = [np.full(scale.prompt, 5 + n) for n in range(rows)]
    tokens = min(scale.tokens, 91)
    ratio, waits = occupied(lambda: lm.generate(prompts, [tokens] * rows, ranges), device)
    return [
        row("R7", f"time over the device's own, batch {rows}", ratio, "<= 1.05"),
        row("R7", "waits of the host a token", waits / tokens, "0"),
    ]


def rows_of_folder(device: str, scale: Scale) -> list[dict[str, object]]:
    """R8, stages one after the other: nothing of the codec's time is hidden behind generation."""
    pairs = bench_folder.make_pairs(scale.clips, bench_folder.RATE, scale.seconds, 0)
    clips = [bench_folder.source_of(noisy, bench_folder.RATE) for _, noisy in pairs]
    with tempfile.TemporaryDirectory() as scratch:
        folder = bench_folder.random_folder(scale.shape, Path(scratch, "model"), scale.layers, **scale.codec)
        stages = bench_folder.by_stages(folder, clips, device=device, chunk=scale.seconds)
    codec = sum(share for name, share in stages.items() if name.startswith("codec")) / 100
    model = (stages["prefill %"] + stages["decode steps %"]) / 100
    what = f"of a folder of {scale.clips} chunks of {scale.seconds:g} s"
    return [
        row("R8", f"codec's share {what}", codec, "<= 0.08"),
        row("R8", f"language model's share {what}", model, ">= 0.92"),
    ]


def rows_of_quality(results: list[dict[str, Any]], device: str) -> list[dict[str, object]]:
    """R9's other half: what a rounded cache changes, beside what bfloat16 alone does."""
    by_mode = {result["mode"]: result for result in results}
    exact, rows = by_mode["float32"], []
    for mode in ("bfloat16", f"bfloat16, {'int8' if device == 'cpu' else 'fp8'} cache"):
        result = by_mode[mode]
        rows.append(row("R9", f"agreement with float32, {mode}", result["agreement"], "near bfloat16's"))
        for name in bench_precision.METRICS:
            rows.append(row("R9", f"{name} over float32's, {mode}", result[name] - exact[name], "near 0"))
    return rows


def measure(device: str, scale: Scale, model: str) -> list[dict[str, object]]:
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
    rows += row_of_waiting(device, scale) + rows_of_folder(device, scale)
    precision = ["--model", model, "--clips", str(min(scale.clips, 16)), "--device", device]
    rows += rows_of_quality(bench_precision.main([*precision, *threads]), device)
    return rows + [row(name, "-", f"not measured: {why}", "-") for name, why in ABSENT.items()]


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--trial", action="store_true", help="a tiny size: shows that the commands run")
    parser.add_argument("--model", default="nano", help="whose quality is heard with a rounded cache")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    rows = measure(options.device, TRIAL if options.trial else FULL, options.model)
    print("\n" + table(rows), flush=True)
    if options.json:
        name = torch.cuda.get_device_name() if options.device.startswith("cuda") else "CPU"
        about = {"device": name, "torch": torch.__version__, "trial": options.trial}
        options.json.write_text(json.dumps(about | {"rows": rows}, indent=1))
    return rows


if __name__ == "__main__":
    main()
