"""What one decode step costs at a given length of context, by every way of attending, in one run.

    python tests/benchmarks/bench_steps.py --shape 1b --layers 4 --dtype bfloat16 --batch 1 4 8

The cache is filled with noise, so long contexts cost no prefill. On a CPU: torch's attention, the package's
kernel, and the kernel with an int8 cache. On CUDA: torch's attention step by step, the package's best
decoder, and that with an fp8 cache. All take turns, a plain read of a large tensor among them; medians are
reported. `x torch` is the time of torch's attention over this way's; `growth` is the time at this length over
that at the first, `bytes` the same of what must be read; `bandwidth` is bytes over time as a share of the
plain read.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from timing import config_of, interleaved, plain_read, random_model, ranges_of, table

from dacse_cli.lm.attention.cache import Cache
from dacse_cli.lm.bandwidth import step_bytes
from dacse_cli.lm.decoding.greedy import Decoder, EagerDecoder
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.gpu.graphs import GraphDecoder
from dacse_cli.lm.rows import BatchPlan

Step = Callable[[], object]
Told = Callable[[list[dict[str, Any]]], object]


def fill_with_noise(store: Cache) -> None:
    """Numbers of about 1 in every slot."""
    noise = torch.randn(store.values.shape[3:], device=store.values.device)
    store.values.copy_((noise if store.scales is None else noise * 50).to(store.values.dtype))
    if store.scales is not None:
        store.scales.fill_(0.02)


def eager_step(lm: LanguageModel, decoder: EagerDecoder, rows: int, length: int, ranges: Any) -> Step:
    """One token per row with `length` positions in its cache."""
    plan = BatchPlan(tuple(range(rows)), (length,) * rows, (2,) * rows)
    store = decoder.arena.view(rows, plan.positions)
    fill_with_noise(store)
    at = decoder.backend.begin(plan, store)
    choice = lm._choice(*ranges[0])
    last = torch.zeros(rows, dtype=torch.int64, device=lm.device)

    def step() -> None:
        with torch.inference_mode():
            h = lm.network.step(choice.embed(last), lm.network.rotations[length], at(0, rows))
            choice.pick(h, last)

    return step


def graph_cycle(lm: LanguageModel, decoder: GraphDecoder, rows: int, length: int, ranges: Any) -> Step:
    """A captured cycle: one token of every codebook."""
    choices = [lm._choice(lo, hi) for lo, hi in ranges]
    with torch.inference_mode():
        state = decoder.laid_out(rows, length + len(choices), choices, exact=True)
        fill_with_noise(state.store)
        replay = decoder.replay(state, rows)

    def cycle() -> None:
        with torch.inference_mode():
            state.begin([length] * rows, [len(choices) + 2] * rows)
            replay()

    return cycle


def make_ways(
    config: dict[str, Any], device: str, dtype: torch.dtype
) -> dict[str, tuple[LanguageModel, Decoder]]:
    """Every way of attending that runs here, by name."""
    lm = random_model(config, device, dtype)
    ways: dict[str, tuple[LanguageModel, Decoder]] = {"torch": (lm, EagerDecoder(lm.network, lm.arena))}
    if not lm.decoder.name.startswith("torch SDPA"):
        ways["own"] = (lm, lm.decoder)
        kv = "int8" if device == "cpu" else "fp8"
        small = LanguageModel(lm.network, kv=kv)
        ways[f"own, {kv}"] = (small, small.decoder)
    return ways


def together(ways: Any, device: str) -> list[Any]:
    """Ways that take turns: all on a CPU; on a GPU those that share a cache, for two may not fit."""
    if device == "cpu":
        return [ways]
    models = dict.fromkeys(lm for lm, _ in ways.values())
    return [{name: way for name, way in ways.items() if way[0] is lm} for lm in models]


def in_turn(
    ways: Any, rows: int, length: int, longest: int, ranges: Any, read: Step, options: Any
) -> dict[str, tuple[float, float]]:
    """Seconds per step of each way, and of the plain read beside it; frees the caches."""
    steps, tokens = [], []
    for lm, _ in ways.values():
        lm.arena.view(rows, longest + 256)  # enough for every way: they share the memory
    for lm, decoder in ways.values():
        graph = isinstance(decoder, GraphDecoder)
        steps.append((graph_cycle if graph else eager_step)(lm, decoder, rows, length, ranges))
        tokens.append(len(ranges) if graph else 1)
    *times, reading = interleaved([*steps, read], options.repeats, options.device)
    for lm, _ in ways.values():
        lm.release()
    if options.device != "cpu":
        torch.cuda.empty_cache()
    return {name: (taken / n, reading) for name, taken, n in zip(ways, times, tokens, strict=True)}


def measure(ways: Any, rows: int, lengths: list[int], ranges: Any, options: Any) -> list[dict[str, Any]]:
    """A result for every way and length."""
    read, read_bytes = plain_read(options.device)
    results, first = [], {}
    for length in lengths:
        timed = {
            name: times
            for group in together(ways, options.device)
            for name, times in in_turn(group, rows, length, max(lengths), ranges, read, options).items()
        }
        for name, (lm, _) in ways.items():
            taken, reading = timed[name]
            needed = step_bytes(lm, rows, length)
            before = first.setdefault(name, (taken, needed))
            results.append(
                {
                    "batch": rows,
                    "context": length,
                    "attention": name,
                    "ms/step": 1e3 * taken,
                    "tokens/s": rows / taken,
                    "x torch": timed["torch"][0] / taken,
                    "growth": taken / before[0],
                    "bytes": needed / before[1],
                    "bandwidth": needed / taken / (read_bytes / reading),
                }
            )
    return results


def main(arguments: list[str] | None = None, told: Told = lambda results: None) -> list[dict[str, Any]]:
    """Measure and print; `told` gets the results of each batch size at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shape", default="1b", help="nano, 250m or 1b")
    parser.add_argument("--layers", type=int, help="fewer than the shape has: steps of fewer layers")
    parser.add_argument("--context", type=int, nargs="+", default=[3099, 6193], help="positions in the cache")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--threads", type=int, default=1, help="CPU threads; with 1, processor time is measured"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    config = config_of(options.shape, options.layers)
    ways = make_ways(config, options.device, getattr(torch, options.dtype))
    print(
        f"{next(iter(ways.values()))[0].describe()}; torch {torch.__version__}, {options.threads} threads\n"
    )
    results = []
    for rows in options.batch:
        found = measure(ways, rows, options.context, ranges_of(config), options)
        told(found)
        results += found
    print(table(results), flush=True)
    if options.json:
        settings = {key: str(value) for key, value in vars(options).items()}
        options.json.write_text(json.dumps({"settings": settings, "results": results}, indent=1))
    return results


if __name__ == "__main__":
    main()
