"""What drafts bring: the noisy tokens as guesses of the clean ones, and guesses of a known quality.

    python tests/benchmarks/bench_drafts.py --model nano --clips 8 --batch 1 8

Real speech in noise. `noisy` guesses that every token stays as it was; `right X` are the model's own answers
with a share 1 - X of them spoilt, which is what a draft of that quality would bring (the overlap of two
chunks, say). Taken in turn with decoding one token a pass; `x plain` is that time over the draft's, `equal`
the share of equal ids, `per pass` the tokens a row gained per pass, `acceptance` what was seen in the end.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_precision import chunks_of_speech
from timing import interleaved, table

from dacse_cli import Enhancer
from dacse_cli.lm.generate import LanguageModel


def measure(
    lm: LanguageModel, prompts: list[np.ndarray], layout: Any, qualities: list[float], repeats: int
) -> list[dict[str, Any]]:
    """A result a kind of draft."""
    steps, rng = len(prompts[0]) - 2, np.random.default_rng(0)
    news = [steps] * len(prompts)
    plain = lm.generate(prompts, news, layout.ranges)
    drafts = {"noisy": [prompt[1:-1] for prompt in prompts]}
    for quality in qualities:
        drafts[f"right {quality}"] = [np.where(rng.random(steps) < quality, ids, -1) for ids in plain]
    results = []
    for name, draft in drafts.items():
        lm._drafter = None  # each kind learns its own acceptance
        work: list[Callable[[], Any]] = [
            lambda: lm.generate(prompts, news, layout.ranges),
            lambda draft=draft: lm.generate(prompts, news, layout.ranges, drafts=draft),
        ]
        without, drafted = interleaved(work, repeats, "cpu")
        drafter = lm._drafter
        assert drafter is not None and drafter.widths is not None
        before = drafter.passes
        ids = work[1]()
        results.append(
            {
                "batch": len(prompts),
                "draft": name,
                "right at first": float(np.mean(np.stack(draft) == np.stack(plain))),
                "per pass": (steps - 1) / (drafter.passes - before),
                "x plain": without / drafted,
                "equal": float(np.mean(np.stack(ids) == np.stack(plain))),
                "acceptance": " ".join(f"{share:.2f}" for share in drafter.widths.acceptance),
            }
        )
    return results


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--right", type=float, nargs="*", default=[0.5, 0.8, 0.95], help="shares to be tried")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    results = []
    with Enhancer(options.model, device="cpu", dtype="float32", method="generate") as enhancer:
        prompts = chunks_of_speech(enhancer, options.clips)
        for rows in options.batch:
            translator, right = enhancer.models.translator, options.right
            results += measure(translator.model, prompts[:rows], translator.layout, right, options.repeats)
    print(table(results), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return results


if __name__ == "__main__":
    main()
