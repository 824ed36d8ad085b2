"""Ratios of speed and quality: single steps, whole generations, waits, a folder, and a rounded cache.

Rows keep their names from the package's goals. Single steps are taken at two lengths of context by every way
of attending; generations against transformers'; stages of a folder one after the other, so that nothing of
the codec's time is hidden behind generation. Needs `dacse[dev]`, for all scores of quality `dacse[evaluate]`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import bench_codec
import bench_decode
import bench_folder
import bench_precision
import bench_steps
import numpy as np
import torch
from rows import Rows, part_options
from timing import config_of, occupied, random_model, ranges_of

PACKAGES = {"dnsmos_ovrl": "speechmos", "pesq": "pesq", "stoi": "pystoi"}
"""What each score of quality needs."""


@dataclass(frozen=True)
class Scale:
    """How large the model, the batches and the contexts are."""

    shape: str
    layers: int | None
    batches: tuple[int, ...]
    """The smallest and the largest first: a part may be cut."""
    context: tuple[int, int]
    prompt: int
    tokens: int
    others: int
    """Tokens that transformers' ways write: at 25 ms each, 512 would take all of the part's time."""
    repeats: int
    clips: int
    """Chunks of `seconds` in a folder, and of `nano`'s length for the quality of a rounded cache."""
    seconds: float
    codec: dict[str, int]


FULL = Scale("1b", None, (1, 64, 8, 32), (3099, 6193), 3098, 512, 48, 3, 64, 2.0, {})
TRIAL = Scale(
    "nano", 1, (1, 2), (40, 80), 30, 8, 4, 1, 2, 0.1, {"encoder_hidden_size": 8, "decoder_hidden_size": 64}
)


def steps(rows: Rows, device: str, scale: Scale) -> None:
    """R2, R5, R6, R9's speed and, on a CPU, R17, from single steps of the package's best way."""
    words = ["--shape", scale.shape, "--context", *map(str, scale.context), "--device", device]
    words += ["--batch", *map(str, scale.batches), "--repeats", str(scale.repeats), "--dtype", "bfloat16"]
    words += ["--layers", str(scale.layers)] if scale.layers else []
    few, many, (short, long) = min(scale.batches), max(scale.batches), scale.context
    speeds: dict[int, float] = {}

    def told(taken: list[dict[str, Any]]) -> None:
        best = "own" if any(step["attention"] == "own" for step in taken) else "torch"
        ours = {step["context"]: step for step in taken if step["attention"] == best}
        step, batch = ours[short], ours[short]["batch"]
        goal = ">= 0.55" if batch == few else ">= 0.75" if batch == many else "-"
        rows.add("R2", f"share of the read bandwidth, batch {batch}", step["bandwidth"], goal)
        rows.add("speed", f"decode tokens per second, batch {batch}, context {short}", step["tokens/s"])
        rows.add(
            "R17", f"torch's attention over {best}, a step, batch {batch}", step["x torch"], "CPU: 2, 3.5, 5"
        )
        speeds[batch] = step["tokens/s"]
        if batch == many:
            what = f"growth from {short} to {long} positions, time over bytes"
            rows.add("R5", what, ours[long]["growth"] / ours[long]["bytes"], "0.9-1.1")
            if few in speeds:
                rows.add("R6", f"tokens per second, batch {many} over {few}", speeds[many] / speeds[few])
        for step in taken:
            if "8" in step["attention"] and step["context"] == long:
                what = f"speed of {step['attention']} over {best}, batch {batch}, context {long}"
                rows.add("R9", what, ours[long]["ms/step"] / step["ms/step"], "CUDA: >= 1.6")

    bench_steps.main(words, told)


def generation(rows: Rows, device: str, scale: Scale) -> None:
    """R1 and R4 of the language model, from whole generations."""
    words = ["--shape", scale.shape, "--prompt", str(scale.prompt), "--tokens", str(scale.tokens)]
    words += ["--batch", *map(str, scale.batches), "--others", str(scale.others)]
    words += ["--repeats", "1", "--device", device, *(["--threads", "1"] if device == "cpu" else [])]

    def told(results: list[dict[str, Any]]) -> None:
        by_way = {result["way"]: result for result in results}
        ours, batch = by_way["dacse"], by_way["dacse"]["batch"]
        what = f"tokens per second over the published way's, batch {batch}"
        rows.add("R1", what, ours["ratio"], "GPU: >= 50 at 64")
        what = f"over transformers' static cache, batch {batch}"
        rows.add("R4", what, ours["ratio"] / by_way["batched"]["ratio"], ">= 1.5")
        rows.add("speed", f"tokens per second with prefill, batch {batch}", ours["total_tokens_per_second"])
        rows.add("prefill", f"ms per row, batch {batch}", ours["prefill_ms_per_row"])
        rows.add(
            "ids", f"equal to the published way's, batch {batch}", ours["same_first_row"], "1 in float32"
        )

    bench_decode.main(words, told)
    rows.add("R3", "over vLLM", "not measured: vLLM is not among the package's dependencies", ">= 0.95")


def waits(rows: Rows, device: str, scale: Scale) -> None:
    """R7, of a whole generation with its prefill."""
    config = config_of(scale.shape, scale.layers)
    lm, ranges, count = random_model(config, device, torch.bfloat16), ranges_of(config), max(scale.batches)
    prompts = [np.full(scale.prompt, 5 + n) for n in range(count)]
    tokens = min(scale.tokens, 91)
    ratio, waited = occupied(lambda: lm.generate(prompts, [tokens] * count, ranges), device)
    rows.add("R7", f"time over the device's own, batch {count}", ratio, "<= 1.05")
    rows.add("R7", "waits of the host per token", waited / tokens, "0")


def folder(rows: Rows, device: str, scale: Scale) -> None:
    """R8."""
    pairs = bench_folder.make_pairs(scale.clips, bench_folder.RATE, scale.seconds, 0)
    clips = [bench_folder.source_of(noisy, bench_folder.RATE) for _, noisy in pairs]
    with tempfile.TemporaryDirectory() as scratch:
        made = bench_folder.random_folder(scale.shape, Path(scratch, "model"), scale.layers, **scale.codec)
        options = {"device": device, "chunk": scale.seconds}
        _, whole, stages = bench_folder.by_stages(made, clips, **options)
    codec = sum(share for name, share in stages.items() if name.startswith("codec")) / 100
    model = (stages["prefill %"] + stages["decode steps %"]) / 100
    what = f"of a folder of {scale.clips} chunks of {scale.seconds:g} s"
    rows.add("R8", f"codec's share {what}", codec, "<= 0.08")
    rows.add("R8", f"language model's share {what}", model, ">= 0.92")
    rows.add("end to end", f"audio seconds per second {what}", scale.clips * scale.seconds / whole)


def enhance(rows: Rows, device: str, scale: Scale) -> None:
    """The model that ships, from sound to sound, and one of the chunks the published way."""
    words = ["--model", "nano", "--clips", str(scale.clips), "--seconds", str(scale.seconds), "--even"]
    words += ["--parts", "1", "--every", str(scale.clips), "--dtype", "auto", "--device", device]
    result: dict[str, Any] = bench_folder.main([*words, *(["--threads", "1"] if device == "cpu" else [])])
    what = f"nano, {scale.clips} clips of {scale.seconds:g} s"
    rows.add("end to end", f"audio seconds per second, {what}", result["dacse_x_real_time"])
    rows.add("end to end", f"over the published way's, {what}", result["ratio_median"])
    rows.add("ids", f"equal to the published way's, {what}", result["equal_codes"], "1 in float32")


def codec(rows: Rows, device: str, scale: Scale) -> None:
    """The codecs alone, of the released shapes."""
    words = ["--seconds", str(5 * scale.seconds), "--repeats", str(scale.repeats), "--device", device]
    for result in bench_codec.main(words):
        for way in ("encode", "decode"):
            speed = 1 / max(result[f"{way}, s per s"], 1e-9)
            rows.add("codec", f"audio seconds per second, {result['codec']}, {way}", speed)
    if device != "cpu":
        for result in bench_codec.main([*words, "--decoding", "tf32"]):
            speed = 1 / max(result["decode, s per s"], 1e-9)
            rows.add("codec", f"audio seconds per second, {result['codec']}, decode with TF32", speed)


def quality(rows: Rows, device: str, scale: Scale) -> None:
    """R9's other half: what a rounded cache changes for `nano`, beside what bfloat16 alone does."""
    for name, package in PACKAGES.items():
        if find_spec(package) is None:
            bench_precision.METRICS.pop(name, None)
            rows.add("R9", name, f"not measured: {package} is not installed")
    rounded = f"bfloat16, {'int8' if device == 'cpu' else 'fp8'} cache"
    words = ["--clips", str(min(scale.clips, 16)), "--device", device, "--modes", "bfloat16", rounded]
    exact: dict[str, Any] = {}

    def told(result: dict[str, Any]) -> None:
        if not exact:  # float32 is the first
            exact.update(result)
            return
        mode = result["mode"]
        rows.add("R9", f"agreement with float32, {mode}", result["agreement"], "near bfloat16's")
        for name in bench_precision.METRICS:
            rows.add("R9", f"{name} over float32's, {mode}", result[name] - exact[name], "near 0")

    bench_precision.main(words, told)


PARTS = {
    "steps": steps,
    "generation": generation,
    "waits": waits,
    "folder": folder,
    "enhance": enhance,
    "codec": codec,
    "quality": quality,
}


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    options = part_options(arguments)
    rows = Rows(options.rows)
    PARTS[options.part](rows, options.device, TRIAL if options.tiny else FULL)
    return rows.rows


if __name__ == "__main__":
    main()
