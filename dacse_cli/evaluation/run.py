"""`evaluate`, the whole package in one call: pairs found, scored in one or several processes, reported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from dacse_cli.errors import InputError, UsageError
from dacse_cli.evaluation.groups import read_groups
from dacse_cli.evaluation.metric import Metric, ScoringOptions
from dacse_cli.evaluation.pairs import Item, plan
from dacse_cli.evaluation.registry import BY_NAME, requested, split
from dacse_cli.evaluation.report import Report
from dacse_cli.evaluation.scoring import FileScores, Scoring, versions
from dacse_cli.platform import cores


def evaluate(
    clean: Path | None,
    enhanced: Sequence[Path],
    noisy: Path | None = None,
    *,
    metrics: Sequence[str] | None = None,
    options: ScoringOptions | None = None,
    jobs: int = 1,
    by: str | None = None,
    on_file: Callable[[FileScores], None] | None = None,
) -> Report:
    """Score every recording of every system.

    `clean`, `noisy` and each of `enhanced` are a folder or a single file; recordings belong together by their
    path below the folder, without the suffix. Each of `enhanced` is a system, named like its folder; `noisy`
    is one more, and the one others are compared with. Without `clean` only metrics that need no reference are
    computed. `metrics` are names of the registry, None is all that can be had; a metric whose package or
    model is missing is named in `Report.missing`.

    A recording's channels are averaged; it is resampled to each metric's rate and cut or filled with zeros to
    the clean one's length. A file that cannot be read is a failure in the report, and the rest is scored.

    `by` is `LIST:COLUMN`, a CSV table or a `manifest.jsonl` and a property in it: the report has the means of
    every group, too (see `groups.py`).

    `jobs` is the number of processes; above 1, a script must call this under `if __name__ == "__main__"`.
    `on_file` is called in this process after every file, in no promised order.

    Raises `UsageError`, `NoInputError`, and `ModelError` for a model that is named but cannot be loaded.
    """
    options = (options or ScoringOptions()).check()
    if jobs < 1:
        raise UsageError(f"the number of jobs must be at least 1, not {jobs}")
    have_clean = clean is not None
    wanted = requested(metrics, have_clean=have_clean)
    items, remarks = plan(clean, enhanced, noisy)
    groups = None if by is None else read_groups(by, [item.key for item in items])
    if groups is not None and groups.unknown:
        remarks.append(f"{groups.property} is not known of {groups.unknown} recordings")
    usable, missing = split(wanted, options, have_clean=have_clean)
    found: dict[str, list[FileScores]] = {}
    for scores in _scored(items, usable, options, min(jobs, len(items))):
        found[scores[0].key] = scores
        if on_file is not None:
            for file in scores:
                on_file(file)
    files = [file for item in items for file in found[item.key]]
    return Report(usable, missing, files, remarks, options, versions(usable), groups)


def _scored(
    items: Sequence[Item], metrics: Sequence[Metric], options: ScoringOptions, jobs: int
) -> Iterator[list[FileScores]]:
    """Scores of every item, as they are ready."""
    if jobs == 1:
        scoring = Scoring(metrics, options)
        for item in items:
            yield scoring.score(item)
        return
    yield from _scored_in_processes(items, metrics, options, jobs)


def _scored_in_processes(
    items: Sequence[Item], metrics: Sequence[Metric], options: ScoringOptions, jobs: int
) -> Iterator[list[FileScores]]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    # spawned, not forked: torch and onnxruntime keep threads that do not survive a fork
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context)
    names = tuple(metric.name for metric in metrics)
    threads = max(1, cores() // jobs)
    try:
        for future in as_completed([pool.submit(_score, item, names, options, threads) for item in items]):
            yield future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a scoring process died",
            reason="scorer-died",
            hint="It may have run out of memory: try `jobs=1`, which also shows where it happens.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@lru_cache(maxsize=1)
def _loaded(names: tuple[str, ...], options: ScoringOptions, threads: int) -> Scoring:
    """The models of this process, loaded with its first item."""
    # torch and CTranslate2 read it when they start; processes that each use all cores block one another
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    return Scoring([BY_NAME[name] for name in names], options)


def _score(item: Item, names: tuple[str, ...], options: ScoringOptions, threads: int) -> list[FileScores]:
    """In a scoring process."""
    return _loaded(names, options, threads).score(item)
