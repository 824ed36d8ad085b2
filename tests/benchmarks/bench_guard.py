"""What the guard finds, and what it takes for a fault that is none; and what it costs.

    python tests/benchmarks/bench_guard.py --speech DIR --noise DIR --codec nano --json guard.json
    python tests/benchmarks/bench_guard.py --cost nano

Without folders, the speech in `examples/sources` in coloured noise. Good answers and planted faults are those
of `guard_cases.py`; a chunk counts as found where the guard doubts any window of it. Besides the thresholds
in use, all of them are scaled together, which gives the curve of false alarms against detection. `--cost`
enhances a scene and reports the guard's time as a share of the language model's, in one and the same run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from guard_cases import FAULTS, cases, scenes

from dacse_cli.api.enhancer import Enhancer
from dacse_cli.codec.loading import load_codec
from dacse_cli.hub import resolve, resolve_codec
from dacse_cli.pipeline.guard.frames import RATE, listen
from dacse_cli.pipeline.guard.measures import measure
from dacse_cli.pipeline.guard.verdict import THRESHOLDS, Thresholds, doubts, loudness, windows
from dacse_cli.pipeline.task.guarding import AROUND_SECONDS, Watch

SOURCES = Path(__file__).parents[2] / "examples" / "sources"
SCALES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)


def scaled(limits: Thresholds, by: float) -> Thresholds:
    """Limits that doubt later (`by` > 1) or sooner."""
    return replace(
        limits,
        excess=limits.excess * by,
        pitch=limits.pitch / by,
        gain=limits.gain * by,
        kept=limits.kept * by,
        spoken=max(1, round(limits.spoken * by)),
    )


def ladder() -> dict[str, Thresholds]:
    """The thresholds that are tried, by name."""
    return {**THRESHOLDS, **{f"normal x {by:g}": scaled(THRESHOLDS["normal"], by) for by in SCALES}}


def add_codec(found: list, name: str) -> None:
    """The clean speech of every second scene through a codec at 16 kHz, as one more good answer."""
    codec = load_codec(resolve_codec(resolve(name, kind="model")).folder)
    assert codec.spec.sample_rate == RATE
    for scene in found[::2]:
        scene.answers["codec"] = codec.decode(codec.encode(scene.clean[None]))[0][: len(scene.clean)]


def shares(found: list, seconds: float, rng: np.random.Generator) -> dict[str, dict[str, list[int]]]:
    """For each rung of the ladder and each kind of case: chunks doubted, and chunks in all."""
    rungs = ladder()
    counts: dict = {rung: defaultdict(lambda: [0, 0]) for rung in rungs}
    for scene in found:
        for case in cases(scene, seconds, rng):
            heard = listen(scene.noisy[case.start : case.stop])
            before = scene.noisy[max(0, case.start - int(AROUND_SECONDS * RATE)) : case.start]
            loudest = max(loudness(heard), loudness(listen(before)) if len(before) > RATE // 10 else 0.0)
            said = listen(case.answer)
            measured = [
                measure(heard.part(start, stop), said.part(start, stop), loudest)
                for start, stop in windows(len(heard))
            ]
            for rung, limits in rungs.items():
                count = counts[rung][case.fault or f"good: {case.kind}"]
                count[0] += any(doubts(one, limits) for one in measured)
                count[1] += 1
    return counts


def summed(counts: dict[str, list[int]]) -> dict[str, float]:
    """Percent of chunks doubted: of each kind, of all good ones, of all faults."""
    good = [name for name in counts if name not in FAULTS]
    groups = {**{name: [name] for name in sorted(counts)}, "false alarms": good}
    groups["found"] = [name for name in FAULTS if name in counts]
    return {
        group: round(100 * sum(counts[n][0] for n in names) / max(1, sum(counts[n][1] for n in names)), 2)
        for group, names in groups.items()
    }


def cost(model: str, found: list) -> dict[str, float]:
    """Seconds of audio, of generation and of the guard (decoding is needed anyway and not the guard's)."""
    spent = {"guard": 0.0, "generation": 0.0}

    def timed(what, function):
        def run(*args, **kwargs):
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[what] += time.perf_counter() - began

        return run

    kept = {name: getattr(Watch, name) for name in ("hear", "rule")}
    try:
        for name, function in kept.items():
            setattr(Watch, name, timed("guard", function))
        with Enhancer(model, device="cpu", method="generate") as enhancer:
            enhancer.enhance(found[0].noisy[: 2 * RATE], RATE, method="generate")
            enhancer.models.translator.model.generate = timed(
                "generation", enhancer.models.translator.model.generate
            )
            spent.update(guard=0.0, generation=0.0)
            generated = [enhancer.enhance(scene.noisy, RATE, method="generate") for scene in found]
            reports = [enhanced.guard for enhanced in generated]
    finally:
        for name, function in kept.items():
            setattr(Watch, name, function)
    seconds = sum(len(scene.noisy) for scene in found) / RATE
    return {
        "audio_seconds": round(seconds, 1),
        "generation_seconds": round(spent["generation"], 2),
        "guard_seconds": round(spent["guard"], 3),
        "guard_percent": round(100 * spent["guard"] / spent["generation"], 2),
        "kept": sum(report.kept for report in reports),
        "repaired": sum(report.repaired for report in reports),
        "passed_through": sum(report.passed_through for report in reports),
    }


def table(rows: dict[str, dict[str, float]]) -> str:
    """Markdown: one line a row, one column a key."""
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = [f"| | {' | '.join(keys)} |", "|---|" + "---:|" * len(keys)]
    lines += [f"| {name} | {' | '.join(f'{row.get(k, 0):g}' for k in keys)} |" for name, row in rows.items()]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> dict:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, default=SOURCES)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--codec", help="also answers through this model's codec")
    parser.add_argument("--cost", metavar="MODEL", help="measure the guard's time beside this model's")
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=7.0, help="of a scene")
    parser.add_argument("--chunks", type=float, nargs="+", default=[0.5, 0.96, 4.0], help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    rng = np.random.default_rng(args.seed)
    found = list(scenes(args.speech, args.noise, args.scenes, args.seconds, rng))
    result: dict = {}
    if args.cost:
        result["cost"] = cost(args.cost, found)
        print(table({args.cost: result["cost"]}))
    else:
        if args.codec:
            add_codec(found, args.codec)
        for seconds in args.chunks:
            counts = shares(found, seconds, np.random.default_rng(args.seed))
            result[f"{seconds:g}"] = {rung: summed(count) for rung, count in counts.items()}
            chunks = {name: total for name, (_, total) in counts["normal"].items()}
            print(f"\nChunks of {seconds:g} s, percent doubted ({sum(chunks.values())} chunks)\n")
            print(table(result[f"{seconds:g}"]))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return result


if __name__ == "__main__":
    main()
