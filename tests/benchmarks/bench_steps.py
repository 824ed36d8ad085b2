"""What one decode step costs at a given length of context, by every way of attending, in one run.

    python tests/benchmarks/bench_steps.py --shape 1b --layers 4 --dtype bfloat16 --batch 1 4 8

The cache is filled with noise, so long contexts cost no prefill. On a CPU: torch's attention, the package's
kernel, and the kernel with an int8 cache. On CUDA: torch's attention step by step, with an fp8 cache too, and
graphs over `varlen_attn`. All take turns, a plain read of a large tensor among them; medians are reported.
`x torch` is R17 of the package's goals on a CPU; `growth` is the time at this length over that at the first,
`bytes` the same of what must be read (R5); `bandwidth` is bytes over time as a share of the plain read (R2).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from timing import config_of, interleaved, plain_read, random_model, ranges_of, table

from dacse_cli.lm.bandwidth import step_bytes
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.graphs import POSITION_STEP, GraphDecoder
from dacse_cli.lm.greedy import Decoder, EagerDecoder
from dacse_cli.lm.rows import BatchPlan

Step = Callable[[], object]


def eager_step(lm: LanguageModel, decoder: EagerDecoder, rows: int, length: int, ranges: Any) -> Step:
    """One token a row with `length` positions in its cache."""
    plan = BatchPlan(tuple(range(rows)), (length,) * rows, (2,) * rows)
    store = decoder.arena.view(rows, plan.positions)
    noise = torch.randn(store.values.shape[3:], device=store.values.device)
    store.values.copy_(noise.to(store.values.dtype))
    if store.scales is not None:
        store.scales.fill_(0.01)
    at = decoder.rung.begin(plan, store)
    choice = lm._choice(*ranges[0])
    last = torch.zeros(rows, dtype=torch.int64, device=lm.device)

    def step() -> None:
        with torch.inference_mode():
            x = lm.network.step(choice.embed(last), lm.network.rotations[length], at(0, rows))
            choice.pick(lm.network.normed(x), last)

    return step


def graph_step(lm: LanguageModel, decoder: GraphDecoder, rows: int, length: int, ranges: Any) -> Step:
    """A captured cycle: one token of every codebook."""
    plan = BatchPlan(tuple(range(rows)), (length,) * rows, (len(ranges),) * rows)
    choices = [lm._choice(lo, hi) for lo, hi in ranges]
    with torch.inference_mode():
        state = decoder._prepare(plan, choices)
        state.store.values.normal_()
        replay = decoder._replay(state, rows, choices)

    def cycle() -> None:
        state.begin([length] * rows)
        replay()

    return cycle


def make_ways(
    config: dict[str, Any], device: str, dtype: torch.dtype
) -> dict[str, tuple[LanguageModel, Decoder]]:
    """Every way of attending that runs here, by name."""
    lm = random_model(config, device, dtype)
    ways: dict[str, tuple[LanguageModel, Decoder]] = {"torch": (lm, EagerDecoder(lm.network, lm.arena))}
    if lm.decoder.name != "torch SDPA":
        ways["own"] = (lm, lm.decoder)
    if device != "cpu" or "own" in ways:
        kv, name = ("int8", "own, int8") if device == "cpu" else ("fp8", "torch, fp8")
        small = LanguageModel(lm.network, kv=kv)
        ways[name] = (small, small.decoder)
    return ways


def measure(ways: Any, rows: int, lengths: list[int], ranges: Any, options: Any) -> list[dict[str, Any]]:
    """A result for every way and length, all in turn."""
    read, read_bytes = plain_read(options.device)
    results, first = [], {}
    for length in lengths:
        steps, tokens = [], []
        for lm, decoder in ways.values():
            if not steps or lm is not next(iter(ways.values()))[0]:
                lm.release()
                lm.arena.view(rows, length + POSITION_STEP)  # enough for every way: they share it
            graph = isinstance(decoder, GraphDecoder)
            steps.append((graph_step if graph else eager_step)(lm, decoder, rows, length, ranges))
            tokens.append(len(ranges) if graph else 1)
        *times, reading = interleaved([*steps, read], options.repeats, options.device)
        times = [taken / count for taken, count in zip(times, tokens, strict=True)]
        for (name, (lm, _)), taken in zip(ways.items(), times, strict=True):
            needed = step_bytes(lm, rows, length)
            before = first.setdefault(name, (taken, needed))
            results.append(
                {
                    "batch": rows,
                    "context": length,
                    "attention": name,
                    "ms/step": 1e3 * taken,
                    "tokens/s": rows / taken,
                    "x torch": times[0] / taken,
                    "growth": taken / before[0],
                    "bytes": needed / before[1],
                    "bandwidth": needed / taken / (read_bytes / reading),
                }
            )
    return results


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
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
        results += measure(ways, rows, options.context, ranges_of(config), options)
    print(table(results), flush=True)
    if options.json:
        settings = {key: str(value) for key, value in vars(options).items()}
        options.json.write_text(json.dumps({"settings": settings, "results": results}, indent=1))
    return results


if __name__ == "__main__":
    main()
