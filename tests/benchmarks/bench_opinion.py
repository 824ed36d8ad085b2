"""How often a second opinion doubts good answers, and how often ones with other words.

    python tests/benchmarks/bench_opinion.py --speech DIR --noise DIR --asr tiny.en --json opinion.json

The scenes are those of `guard_cases.py`. Good answers are the clean speech and the noisy input under an ideal
mask; the clean speech through `--codec` is shown beside them, for a codec may lose words itself. Faults are
1.5 s of the clean speech that are gone, turned round, replaced by other speech of the scene, or a syllable
over and over. Only scenes that are intelligible to the recogniser are ruled on; their number is told, too.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bench_guard import SOURCES, add_codec, table
from guard_cases import Scene, scenes

from dacse_cli.pipeline.guard.frames import HOP, RATE
from dacse_cli.pipeline.guard.transcripts import Opinion, later_and_softer, opinion
from dacse_cli.speech import recogniser

LONG = 3 * RATE // 2
"""Samples of a fault."""


def faults(scene: Scene, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Answers with other words, by kind."""
    clean = scene.clean
    spoken = np.repeat(scene.active, HOP)
    starts = [i for i in range(0, len(spoken) - LONG, HOP) if spoken[i : i + LONG].mean() > 0.6]
    if not starts:
        return
    at = starts[rng.integers(len(starts))]
    piece = slice(at, at + LONG)
    others = [start for start in starts if abs(start - at) >= LONG]
    fillings = {
        "dropped": np.zeros(LONG),
        "turned round": clean[piece][::-1],
        "repeated": np.resize(clean[at : at + RATE // 5], LONG),
    }
    if others:
        other = others[rng.integers(len(others))]
        fillings["other speech"] = clean[other : other + LONG]
    for kind, filling in fillings.items():
        answer = clean.copy()
        answer[piece] = filling
        yield kind, answer


def rulings(found: list[Scene], recognise: recogniser.Recogniser, rng: np.random.Generator) -> dict:
    """For each kind of answer: how many, how many ruled on, how many of these doubted."""
    counts: dict = defaultdict(lambda: {"answers": 0, "ruled on": 0, "doubted": 0})
    for scene in found:
        heard = recognise(scene.noisy)
        again = recognise(later_and_softer(scene.noisy))
        good = [(f"good: {kind}", answer) for kind, answer in scene.answers.items()]
        for kind, answer in [*good, *faults(scene, rng)]:
            ruling = opinion(heard, recognise(answer, heard.language), lambda again=again: again)
            counts[kind]["answers"] += 1
            counts[kind]["ruled on"] += ruling is not Opinion.NONE
            counts[kind]["doubted"] += ruling is Opinion.OTHER
    return dict(counts)


def main(arguments: list[str] | None = None) -> dict:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, default=SOURCES)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--asr", help="a Whisper folder or size; else the small English one")
    parser.add_argument("--codec", help="also answers through this model's codec")
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a scene")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    rng = np.random.default_rng(args.seed)
    found = list(scenes(args.speech, args.noise, args.scenes, args.seconds, rng))
    if args.codec:
        add_codec(found, args.codec)
    began = time.perf_counter()
    counts = rulings(found, recogniser.load(args.asr), np.random.default_rng(args.seed))
    heard = sum(count["answers"] for count in counts.values()) + 2 * len(found)
    print(table(counts))
    print(f"\n{(time.perf_counter() - began) / heard:.2f} s a transcript of {args.seconds:g} s")
    if args.json:
        args.json.write_text(json.dumps(counts, indent=1) + "\n")
    return counts


if __name__ == "__main__":
    main()
