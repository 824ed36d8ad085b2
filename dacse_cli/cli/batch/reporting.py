"""The report of a finished run: its entries, and the scores of the recordings."""

from __future__ import annotations

import importlib.util
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dacse_cli import __version__
from dacse_cli.audio.formats import AUDIO_SUFFIXES
from dacse_cli.cli.usage import with_options
from dacse_cli.pipeline.wire.guard_report import KEPT, GuardReport
from dacse_cli.pipeline.wire.outcome import Outcome, Result, Summary
from dacse_cli.report.entry import Entry, RunFacts, Span

if TYPE_CHECKING:
    from dacse_cli.api.trial import Trial
    from dacse_cli.report.scene import Samples, Score


def write_report(summary: Summary, folder: Path, on_file: Callable[[int, int], None]) -> Path:
    """Write the report of a run into `folder`; returns the page's path. Raises `OutputError`."""
    from dacse_cli.report import build

    facts = RunFacts(
        command=shlex.join(["dacse", *sys.argv[1:]]),
        version=__version__,
        finished=time.strftime("%Y-%m-%d %H:%M"),
        elapsed=summary.elapsed,
        audio_seconds=summary.seconds,
        counts=summary.counts,
        settings=summary.settings,
    )
    entries = [entry_of(result) for result in summary.results]
    return build(entries, facts, folder, score=scorer(), on_file=on_file)


def write_trial(
    trial: Trial, source: Path, folder: Path, model: str, on_file: Callable[[int, int], None]
) -> Path:
    """Write the report of a trial into `folder`; returns the page's path. Raises `OutputError`."""
    from dacse_cli.report import build

    entries = [
        Entry(str(trial.original), str(made), "done", message=strength, seconds=trial.seconds, playable=True)
        for strength, made in trial.made.items()
    ]
    facts = RunFacts(
        command=shlex.join(["dacse", *sys.argv[1:]]),
        version=__version__,
        finished=time.strftime("%Y-%m-%d %H:%M"),
        counts={"done": len(entries)},
        settings={
            "model": model,
            "recording": str(source),
            "from": f"{trial.start:g} s",
            "to": f"{trial.start + trial.seconds:g} s",
        },
    )
    return build(entries, facts, folder, score=scorer(), on_file=on_file)


def entry_of(result: Result) -> Entry:
    """The report's entry of one result."""
    there = result.outcome in (Outcome.DONE, Outcome.WARNED) or result.reason == "already-done"
    paths = (result.source, result.target)
    audio = all(Path(path).suffix.lower() in AUDIO_SUFFIXES and "://" not in path for path in paths)
    return Entry(
        source=result.source,
        target=result.target,
        outcome=result.outcome.value,
        reason=result.reason,
        message=with_options(result.message),
        seconds=result.seconds,
        elapsed=result.elapsed,
        playable=there and audio,
        spans=spans_of(result.guard, result.seconds) if result.guard else (),
    )


def spans_of(guard: GuardReport, seconds: float) -> tuple[Span, ...]:
    """The guard's decisions along a file of `seconds`; stretches without one were kept."""
    spans, end = [], 0.0
    for s in guard.stretches:
        if s.start > end:
            spans.append(Span(end, s.start, KEPT))
        spans.append(Span(s.start, s.stop, s.outcome, ", ".join(s.words or s.reasons)))
        end = max(end, s.stop)
    return tuple([*spans, Span(end, seconds, KEPT)] if end < seconds else spans)


def scorer() -> Score | None:
    """A function for DNSMOS of a mono recording; None unless `dacse[evaluate]` is installed."""
    from dacse_cli.evaluation.metrics.mos import DNSMOS

    if any(importlib.util.find_spec(package) is None for package in DNSMOS.packages):
        return None
    import numpy as np

    from dacse_cli.audio.resample import resample
    from dacse_cli.evaluation.metric import SPEECH_RATE, Clip, ScoringOptions, UnscorableError

    rate_clip = DNSMOS.load(ScoringOptions())

    def score(samples: Samples, rate: int) -> dict[str, float]:
        speech = resample(samples[None], rate, SPEECH_RATE)[0]
        try:
            found = rate_clip(Clip(speech, np.zeros(0, np.float32), SPEECH_RATE))
        except UnscorableError:
            return {}
        values = {column.name: score.value for column, score in zip(DNSMOS.columns, found, strict=True)}
        return {name: value for name, value in values.items() if value is not None}

    return score
