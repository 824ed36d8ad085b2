"""How fast ids are generated, three ways on one machine in one run.

    python tests/benchmarks/bench_decode.py --shape nano --prompt 400 --tokens 90 --batch 1 8

Ways: `published` is the released script's manner (transformers `generate`, float32, one row at a time, a
Python mask that looks at every row's last token with `.item()`), `batched` is transformers `generate` with a
static cache over the whole batch and a mask without host work, `dacse` is this package. All run the same
random weights on the same prompts, in turn, several times; the medians are printed as a Markdown table and
written as JSON. Random weights of the right shape cost what trained ones cost.

Decode speed is taken from the difference of a long and a one-token run, so prefill is told apart. With
`--others` transformers' two ways write fewer tokens, and the rest at the speed of those. `bandwidth`
is the memory traffic a step needs at least (weights once, every row's keys and values once) over its time,
as a share of what a plain read of a large tensor reaches in the same run.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import CODEBOOK_SIZE, SHAPES, SPECIALS, config_of, ranges_of
from transformers import LlamaConfig, LlamaForCausalLM, LogitsProcessor, LogitsProcessorList, logging

from dacse_cli.lm.bandwidth import read_bandwidth, step_bytes
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.generate import LanguageModel

Way = Callable[[list[np.ndarray], int], list[np.ndarray]]
Told = Callable[[list[dict[str, Any]]], object]


def read_config(shape: str) -> dict[str, Any]:
    """The named shape, or the `config.json` at this path."""
    return config_of(shape) if shape in SHAPES else json.loads(Path(shape).read_text())


class PublishedMask(LogitsProcessor):
    """Allow one codebook a row, found from the row's last token on the host."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        self.ranges = ranges

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        masked = torch.full_like(scores, float("-inf"))
        for row in range(len(scores)):
            last = int(input_ids[row, -1].item())
            codebook = -1 if last < SPECIALS else (last - SPECIALS) // CODEBOOK_SIZE
            lo, hi = self.ranges[(codebook + 1) % len(self.ranges)]
            masked[row, lo:hi] = scores[row, lo:hi]
        return masked


class PositionMask(LogitsProcessor):
    """Allow one codebook a step, known from the number of tokens alone."""

    def __init__(self, ranges: list[tuple[int, int]], prompt: int) -> None:
        self.ranges, self.prompt = ranges, prompt

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        lo, hi = self.ranges[(input_ids.shape[1] - self.prompt) % len(self.ranges)]
        masked = torch.full_like(scores, float("-inf"))
        masked[:, lo:hi] = scores[:, lo:hi]
        return masked


def hf_generate(model: Any, prompts: list[np.ndarray], tokens: int, mask: Any, **options: Any) -> np.ndarray:
    """Exactly `tokens` greedy ids per row by transformers."""
    ids = torch.from_numpy(np.stack(prompts)).to(model.device)
    with torch.inference_mode():
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            logits_processor=LogitsProcessorList([mask]),
            **options,
        )
    return out[:, ids.shape[1] :].cpu().numpy()


def make_ways(
    folder: Path, options: argparse.Namespace, ranges: list[tuple[int, int]]
) -> tuple[dict[str, Way], LanguageModel]:
    """Every way as a function from prompts and a number of tokens to ids."""
    ours = load_language_model(folder, device=options.device, dtype=options.dtype)
    dtypes = {"published": torch.float32, "batched": getattr(torch, ours.dtype)}
    models = {
        name: LlamaForCausalLM.from_pretrained(folder, dtype=dtype).eval().to(options.device)
        for name, dtype in dtypes.items()
    }

    def published(prompts: list[np.ndarray], tokens: int) -> list[np.ndarray]:
        mask = PublishedMask(ranges)
        return [hf_generate(models["published"], [prompt], tokens, mask)[0] for prompt in prompts]

    def batched(prompts: list[np.ndarray], tokens: int) -> list[np.ndarray]:
        mask = PositionMask(ranges, len(prompts[0]))
        static = {"cache_implementation": "static", "disable_compile": not options.hf_compile}
        return list(hf_generate(models["batched"], prompts, tokens, mask, **static))

    def dacse(prompts: list[np.ndarray], tokens: int) -> list[np.ndarray]:
        return ours.generate(prompts, [tokens] * len(prompts), ranges)

    return {"published": published, "batched": batched, "dacse": dacse}, ours


def timed(way: Way, prompts: list[np.ndarray], tokens: int) -> tuple[float, list[np.ndarray]]:
    """Seconds and ids; ids on the host mean that the device is done."""
    gc.collect()
    start = time.perf_counter()
    ids = way(prompts, tokens)
    return time.perf_counter() - start, ids


def measure(
    ways: dict[str, Way], ours: LanguageModel, rows: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One result a way for this batch size. The one-at-a-time way is timed on a single row."""
    rng = np.random.default_rng(rows)
    prompts = [rng.integers(SPECIALS, ours.vocab_size, options.prompt) for _ in range(rows)]
    for prompt in prompts:
        prompt[-1] = 3  # a special: the first new token is of the first codebook
    taken = {name: (prompts[:1] if name == "published" else prompts) for name in ways}
    tokens = {name: options.tokens if name == "dacse" else options.others or options.tokens for name in ways}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    ids: dict[str, list[np.ndarray]] = {}
    for repeat in range(options.repeats + 1):  # the first round warms up
        for name, way in ways.items():
            first, _ = timed(way, taken[name], 1)
            whole, ids[name] = timed(way, taken[name], tokens[name])
            if repeat:
                seconds[name].append((first, whole))
    limit = read_bandwidth(options.device)
    results = []
    for name in ways:
        count = len(taken[name])
        prefill = statistics.median(first for first, _ in seconds[name])
        step = statistics.median((w - f) / (tokens[name] - 1) for f, w in seconds[name])
        whole = statistics.median(w + (options.tokens - tokens[name]) * step for _, w in seconds[name])
        common = min(tokens[name], tokens["published"])
        result = {
            "way": name,
            "batch": rows,
            "prefill_ms_per_row": 1e3 * prefill / count,
            "step_ms": 1e3 * step,
            "decode_tokens_per_second": count / step,
            "total_tokens_per_second": count * options.tokens / whole,
            "same_first_row": float(np.mean(ids[name][0][:common] == ids["published"][0][:common])),
        }
        if name == "dacse":
            needed = step_bytes(ours, rows, options.prompt + options.tokens / 2)
            result |= {"read_bytes_per_second": limit, "bandwidth": needed / step / limit}
        results.append(result)
    for result in results:
        result["ratio"] = result["total_tokens_per_second"] / results[0]["total_tokens_per_second"]
    return results


HEADER = (
    "| batch | way | prefill ms/row | ms/step | decode tok/s | total tok/s | x published | bandwidth "
    "| ids equal |\n|---|---|---|---|---|---|---|---|---|"
)


def line(r: dict[str, Any]) -> str:
    """One result as a line of the Markdown table."""
    share = f"{r['bandwidth']:.2f}" if "bandwidth" in r else ""
    return (
        f"| {r['batch']} | {r['way']} | {r['prefill_ms_per_row']:.1f} | {r['step_ms']:.2f} "
        f"| {r['decode_tokens_per_second']:.1f} | {r['total_tokens_per_second']:.1f} "
        f"| {r['ratio']:.2f} | {share} | {r['same_first_row']:.3f} |"
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shape", default="nano", help="nano, 250m, 1b or the path of a config.json")
    parser.add_argument("--prompt", type=int, default=1000, help="tokens of a prompt")
    parser.add_argument("--tokens", type=int, default=200, help="new tokens per row (at least 2)")
    parser.add_argument("--others", type=int, help="new tokens per row of transformers' ways (at least 2)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="batch sizes")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto", help="of `dacse` and `batched`")
    parser.add_argument("--hf-compile", action="store_true", help="let transformers compile the static step")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args(arguments)
    if options.tokens < 2 or (options.others or 2) < 2:
        parser.error("--tokens and --others must be at least 2")
    return options


def main(arguments: list[str] | None = None, told: Told = lambda results: None) -> list[dict[str, Any]]:
    """Measure and print; `told` gets the results of each batch size at once."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    logging.set_verbosity_error()
    config = LlamaConfig(**read_config(options.shape))
    config.update({"bos_token_id": None, "eos_token_id": None, "pad_token_id": None, "architectures": None})
    ranges = ranges_of(config.to_dict())
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        with torch.device(options.device):  # a CPU takes seconds to draw the 1B shape
            LlamaForCausalLM(config).save_pretrained(folder)
        ways, ours = make_ways(Path(folder), options, ranges)
    print(f"{ours.describe()}; torch {torch.__version__}, {torch.get_num_threads()} threads\n\n{HEADER}")
    results = []
    for rows in options.batch:
        found = measure(ways, ours, rows, options)
        told(found)
        results += found
        print("\n".join(map(line, results[-len(ways) :])), flush=True)
    if options.json:
        settings = {key: str(value) for key, value in vars(options).items()}
        options.json.write_text(json.dumps({"settings": settings, "results": results}, indent=2))
    return results


if __name__ == "__main__":
    main()
