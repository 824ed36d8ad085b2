"""`dacse enhance` with one worker on one core, one worker, and one worker a core.

    python tests/benchmarks/bench_workers.py --model nano --clips 24 --seconds 6 --rounds 2

Clips of speech in noise as files, real processes. The clock runs from the first worker's readiness to the end
of the run; beside it stands the processor time of all processes, loading included. Ways run in turn, `rounds`
times; the fastest round of each counts. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import soundfile
from bench_folder import RATE, make_pairs
from timing import table

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run.run import run
from dacse_cli.pipeline.wire.events import Event, Stage
from dacse_cli.pipeline.wire.messages import Form


def timed(source: Path, output: Path, model: str, device: str) -> tuple[float, float]:
    """Seconds at work, and of processor."""
    ready: list[float] = []

    def tell(event: Event) -> None:
        if isinstance(event, Stage) and event.text == "enhancing":
            ready.append(time.perf_counter())

    request = Request(
        Form.ENHANCE,
        (str(source),),
        str(output),
        ModelOptions(model, device=device, offline=True),
        ChunkOptions(),
        SoundOptions(),
    )
    before = _processor_seconds()
    summary = run(request, tell)
    if summary.fatal is not None or summary.exit_code:
        raise RuntimeError(f"it ended with {summary.exit_code}: {summary.fatal}")
    return time.perf_counter() - ready[0], _processor_seconds() - before


def _processor_seconds() -> float:
    """Of this process and of all its children that have ended."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage)


def compare(root: Path, model: str, rounds: int) -> list[dict[str, object]]:
    """A row for each way, over the files in `root/in`."""
    cores = sorted(os.sched_getaffinity(0))
    both = ",".join(["cpu"] * len(cores))
    ways = [("1 worker, 1 core", "cpu", cores[:1]), (f"1 worker, {len(cores)} cores", "cpu", cores)]
    ways.append((f"{len(cores)} workers, {len(cores)} cores", both, cores))
    times: dict[str, list[tuple[float, float]]] = {}
    for turn in range(rounds):
        for name, device, allowed in ways:
            os.sched_setaffinity(0, allowed)
            output = root / f"{turn} {name}"
            times.setdefault(name, []).append(timed(root / "in", output, model, device))
    os.sched_setaffinity(0, cores)
    least = {name: min(each) for name, each in times.items()}
    first = least[ways[1][0]][0]
    return [
        {"way": name, "seconds": wall, "processor seconds": busy, "against 1 worker": first / wall}
        for name, (wall, busy) in least.items()
    ]


def main(argv: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "in").mkdir()
        for i, (_, noisy) in enumerate(make_pairs(args.clips, RATE, args.seconds)):
            soundfile.write(root / "in" / f"{i}.wav", noisy, RATE)
        rows = compare(root, args.model, args.rounds)
    print(table(rows))
    return rows


if __name__ == "__main__":
    main()
