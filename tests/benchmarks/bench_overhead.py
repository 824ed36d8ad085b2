"""What a file costs beside the models: a folder of short recordings with networks that cost nothing.

    python tests/benchmarks/bench_overhead.py --files 2000

Everything else is the real thing and with its usual options: supervisor, decoder and worker in processes of
their own, probing, reading, resampling, chunks, tokens, the guard, cross-fades, writing, reading back, the
journal. `ms/file` is the time on the wall, start of the processes included; `cpu ms/file` is what all
processes together computed. `bare` reads and writes the same files in a loop.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from timing import table

from dacse_cli.config import GUARDS, ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run.pool import LocalPool
from dacse_cli.pipeline.run.run import run
from dacse_cli.pipeline.run.workers import Workers
from dacse_cli.pipeline.wire.messages import Form

RATE = 16000


def make_folder(folder: Path, files: int, seconds: float) -> None:
    """Noise that swells like words, each file its own."""
    folder.mkdir()
    swell = np.abs(np.sin(np.arange(int(RATE * seconds)) / 2000))
    rng = np.random.default_rng(0)
    for number in range(files):
        wave = 0.1 * swell * rng.standard_normal(len(swell))
        soundfile.write(folder / f"{number}.wav", wave, RATE, subtype="PCM_16")


class NoModels(LocalPool):
    """Workers without networks."""

    def workers(self, plan, inbox):
        return Workers(plan, inbox, module="no_model_worker")


def enhance(source: Path, output: Path, guard: str) -> None:
    """A run of `dacse enhance` whose worker has no networks. Fails where a file does."""
    sound = SoundOptions(guard=guard, method="generate")
    models = ModelOptions("nano", device="cpu")
    request = Request(Form.ENHANCE, (str(source),), str(output), models, ChunkOptions(), sound)
    summary = run(request, lambda event: None, pool=NoModels())
    if summary.exit_code:
        raise RuntimeError(f"{summary.counts}: {summary.fatal or summary.results[-1]}")


def bare(source: Path, output: Path) -> None:
    """Read and write, nothing else."""
    output.mkdir()
    for path in source.iterdir():
        samples, rate = soundfile.read(path, dtype="float32")
        soundfile.write(output / path.name, samples, rate, subtype="PCM_16")


def cost(work: Callable[[], None], files: int) -> dict[str, float]:
    """Milliseconds a file, by the clock and of all processes that have ended."""

    def computed() -> float:
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    began, before = time.perf_counter(), computed()
    work()
    return {
        "ms/file": 1e3 * (time.perf_counter() - began) / files,
        "cpu ms/file": 1e3 * (computed() - before) / files,
    }


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a file")
    parser.add_argument("--guard", nargs="+", choices=GUARDS, default=["normal", "off"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "in")
        make_folder(source, options.files, options.seconds)
        results = [{"way": "bare"} | cost(lambda: bare(source, Path(scratch, "bare")), options.files)]
        for guard in options.guard:
            work = partial(enhance, source, Path(scratch, guard), guard)
            results.append({"way": f"dacse, guard {guard}"} | cost(work, options.files))
    print(table(results), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"files": options.files, "results": results}, indent=1))
    return results


if __name__ == "__main__":
    main()
