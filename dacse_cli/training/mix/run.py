"""`mix`: a data set of noisy/clean pairs, made in one or several processes, continued where it was stopped.

    OUT/mix.json              the settings; a run with others is refused
    OUT/manifest.jsonl        a line per pair, in the order of rows
    OUT/clean/00000012.flac   and OUT/noisy/00000012.flac: row 12

With splits, each has its own folder with the last three. The contents of rows are decided by `pairs`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.audio.formats import OutputFormat
from dacse_cli.audio.write import OutputWriter
from dacse_cli.errors import InputError, UsageError
from dacse_cli.files.atomic import commit, sweep
from dacse_cli.training.mix.pairs import make_pair
from dacse_cli.training.mix.plan import CONTAINERS, Mix, SplitWork
from dacse_cli.training.runs.ahead import in_order
from dacse_cli.training.sound.level import Samples
from dacse_cli.training.sound.manifest import Manifest, Record, claim


@dataclass(frozen=True)
class MixReport:
    """Results of a run."""

    written: int
    """Pairs made in this run."""
    there: int
    """Pairs that already existed."""
    seconds: float
    """Seconds of clean audio made in this run."""
    elapsed: float

    @property
    def speed(self) -> float:
        """Seconds of audio per second."""
        return self.seconds / self.elapsed if self.elapsed else 0.0


@dataclass(frozen=True)
class MixProgress:
    """After a pair: its `split`, its `record`, pairs `done` over all splits, seconds of audio and of time."""

    split: str
    record: Record
    done: int
    seconds: float
    elapsed: float


def run_mix(mix: Mix, *, jobs: int = 1, on_pair: Callable[[MixProgress], None] | None = None) -> MixReport:
    """Write the missing pairs; the bytes do not depend on `jobs` or on interruptions.

    `on_pair` is called in this process, in order. With `jobs` above 1 a script must call this under
    `if __name__ == "__main__"`. Raises `OutputError`, `LockedError`, `UsageError`, and
    `InputError` where recordings cannot be used.
    """
    if jobs < 1:
        raise UsageError(f"the number of jobs must be at least 1, not {jobs}")
    started = time.monotonic()
    claim(mix.out, mix.settings)
    written, there, seconds = 0, 0, 0.0
    for work in mix.works:
        with Manifest(work.folder) as manifest:
            sweep(work.folder)
            missing = _missing(work, manifest.records)
            there += work.count - len(missing)
            for record in in_order(write_pair, work, missing, jobs):
                _enter(manifest, record)
                written += 1
                seconds += record["samples"] / record["sample_rate"]
                if on_pair is not None:
                    elapsed = time.monotonic() - started
                    on_pair(MixProgress(work.plan.split, record, there + written, seconds, elapsed))
    return MixReport(written, there, seconds, time.monotonic() - started)


def write_pair(work: SplitWork, index: int) -> Record:
    """Make row `index`, write its two files and return its line of the manifest."""
    pair = make_pair(work.plan, index)
    paths = {kind: f"{kind}/{index:08d}.{work.format}" for kind in ("clean", "noisy")}
    for kind, samples in (("clean", pair.clean), ("noisy", pair.noisy)):
        _write(work.folder / paths[kind], samples, work)
    return {**pair.record, **paths}


def _write(path: Path, samples: Samples, work: SplitWork) -> None:
    form = OutputFormat(CONTAINERS[work.format], "PCM_16", path.suffix, work.plan.rate, None)
    with OutputWriter(path, form, 1) as writer:
        writer.write(samples[None])
        written = writer.finish(len(samples))
    commit(written.temp, path)


def _missing(work: SplitWork, records: Sequence[Record]) -> list[int]:
    """Rows whose manifest line or files are missing."""

    def is_there(index: int) -> bool:
        record = records[index]
        return all((work.folder / record[kind]).is_file() for kind in ("clean", "noisy"))

    return [index for index in range(work.count) if index >= len(records) or not is_there(index)]


def _enter(manifest: Manifest, record: Record) -> None:
    """Append `record`, or compare it with the line already in the manifest."""
    index = record["row"]
    if index >= len(manifest.records):
        manifest.append(record)
    elif manifest.records[index] != json.loads(json.dumps(record)):
        raise InputError(f"row {index} came out unlike its line in the manifest", reason="not-reproduced")
