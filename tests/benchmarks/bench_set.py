"""How fast SET writes, beside its baseline and a language model of equal size, in one run.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_set.py --batch 1 16 --lengths 10 100 1000

Random weights over `nano`'s codec (14 codebooks of 1024, 50 frames per second); the codec's own time is left
out. First one batch of chunks each way, all ways in turn: seconds of sound per second, medians. Then whole
recordings of some lengths, in chunks with the context each network asks for: what a second of sound costs
should not depend on the length.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import SHAPES, config_of, interleaved, random_model, ranges_of, seconds, table

from dacse_cli.interfaces import Codes
from dacse_cli.set.network import fresh_network
from dacse_cli.set.shape import SearchShape, SetShape
from dacse_cli.set.translator import SetTranslator
from dacse_cli.training.set.sizes import shape_of, sized_config

UNITS, FRAME_RATE = Codes(14, 1024), 50
SHAPES["set-small's size"] = (320, 768, 4, 5, 5, 14)
Write = Callable[[list[Any]], object]
"""Chunks of noisy codes `[K, T]` -> something; the work that is timed."""


def set_shape(size: str, layers: int | None) -> SetShape:
    """A size by name, with fewer layers if asked."""
    config = dict(sized_config(size))
    for side in ("encoder", "predictor"):
        if layers and side in config:
            config[side] = config[side] | {"layers": layers}
    return shape_of(config, UNITS)


def ways(
    size: str, baseline: str, layers: int | None, dtype: torch.dtype, device: str
) -> dict[str, tuple[Write, int, tuple[int, int]]]:
    """By name: the way, its weights, frames of context."""
    found: dict[str, tuple[Write, int, tuple[int, int]]] = {}
    for name, which, beam in (
        ("SET, greedy", size, 1),
        ("SET, beam 4", size, 4),
        ("no predictor", baseline, 1),
    ):
        network = fresh_network(set_shape(which, layers), 0)
        weights = sum(p.numel() for p in network.parameters())
        translator = SetTranslator(network, torch.device(device), dtype, SearchShape(beam))
        found[name] = (translator.translate, weights, translator.context)
    config = config_of("set-small's size", layers)
    lm = random_model(config, device, dtype)
    ranges = ranges_of(config)

    def generate(chunks: list[Any]) -> object:
        prompts = [np.arange(chunk.size + 2, dtype=np.int64) % config["vocab_size"] for chunk in chunks]
        return lm.generate(prompts, [chunk.size for chunk in chunks], ranges)

    found["language model"] = (generate, lm.network.shape.step_weights, (0, 0))
    return found


def chunks_of(rows: int, frames: int) -> list[Any]:
    """Noise as codes."""
    rng = np.random.default_rng(0)
    return [rng.integers(UNITS.size, size=(UNITS.books, frames)).astype(np.int16) for _ in range(rows)]


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Measure, print, return."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="set-small")
    parser.add_argument("--baseline", default="nar-small")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--chunk", type=float, default=4.0)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--lengths", type=float, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-lm", action="store_true", help="leave the language model out: it is slow")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    found = ways(given.size, given.baseline, given.layers, getattr(torch, given.dtype), given.device)
    if given.no_lm:
        del found["language model"]
    frames = round(given.chunk * FRAME_RATE)
    results = []
    for rows in given.batch:
        batch = chunks_of(rows, frames)
        works = [partial(write, batch) for write, _, _ in found.values()]
        sound = f"{rows} x {given.chunk:g} s"
        for name, taken in zip(found, interleaved(works, given.repeats, given.device), strict=True):
            results.append(row(name, found[name][1], sound, rows * given.chunk / taken))
    for length in given.lengths:
        for name, (write, weights, (before, after)) in found.items():
            if name == "language model" and length > min(given.lengths):
                continue  # hours
            chunks = chunks_of(math.ceil(length / given.chunk), frames + before + after)
            most = max(given.batch)

            def whole(write: Write = write, chunks: list[Any] = chunks, most: int = most) -> None:
                for start in range(0, len(chunks), most):
                    write(chunks[start : start + most])

            results.append(row(name, weights, f"{length:g} s", length / seconds(whole, given.device)))
    print(table(results))
    if given.json:
        given.json.write_text(json.dumps({"threads": torch.get_num_threads(), "results": results}, indent=1))
    return results


def row(name: str, weights: int, what: str, speed: float) -> dict[str, Any]:
    """A line of the table; printed at once, since the longest recordings take minutes."""
    print(f"{name}, {what}: {speed:.2f} seconds of sound per second", flush=True)
    return {"way": name, "weights": f"{weights / 1e6:.1f} M", "sound": what, "seconds per second": speed}


if __name__ == "__main__":
    main()
