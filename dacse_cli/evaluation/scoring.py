"""One item, all its systems, all metrics: files in, scores out."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dacse_cli.errors import InputError
from dacse_cli.evaluation.metric import Clip, Metric, Samples, Score, Scorer, ScoringOptions, UnscorableError
from dacse_cli.evaluation.pairs import Item
from dacse_cli.evaluation.recording import Recording, fit

TOLERATED_SECONDS = 0.02
"""Largest difference in length without a remark: codecs and resamplers round."""
NO_SAMPLES: Samples = np.zeros(0, np.float32)


@dataclass(frozen=True)
class FileScores:
    """The scores of one system for one recording."""

    system: str
    key: str
    path: str
    seconds: float = 0.0
    scores: Mapping[str, Score] = field(default_factory=dict)
    """By column; a metric without a value for this recording is absent and named in `remarks`."""
    remarks: tuple[str, ...] = ()
    failure: str | None = None
    """Why the file could not be scored at all."""


def versions(metrics: Iterable[Metric]) -> dict[str, str]:
    """Version of every package the metrics use, as far as it is installed as a distribution."""
    found = {}
    for package in sorted({package for metric in metrics for package in metric.packages}):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


class Scoring:
    """Loaded metrics. One per process; items are scored one after another."""

    def __init__(self, metrics: Sequence[Metric], options: ScoringOptions) -> None:
        """Load every metric's model. Raises `ModelError`."""
        self._scorers: list[tuple[Metric, Scorer]] = [(metric, metric.load(options)) for metric in metrics]

    def score(self, item: Item) -> list[FileScores]:
        """Scores of all systems for one item; a file that cannot be read is a failure, never an exception."""
        try:
            clean = None if item.clean is None else Recording(item.clean)
            if clean is not None and clean.seconds == 0:
                raise InputError(f"{item.clean} holds no samples", reason="no-samples")
        except InputError as error:
            failure = f"clean recording: {error.message}"
            return [FileScores(name, item.key, str(path), failure=failure) for name, path in item.systems]
        return [self._one(name, item.key, path, clean) for name, path in item.systems]

    def _one(self, system: str, key: str, path: Path, clean: Recording | None) -> FileScores:
        try:
            recording = Recording(path)
        except InputError as error:
            return FileScores(system, key, str(path), failure=error.message)
        scores: dict[str, Score] = {}
        remarks = [recording.warning] if recording.warning else []
        if clean is not None and abs(recording.seconds - clean.seconds) > TOLERATED_SECONDS:
            remarks.append(f"{recording.seconds:.2f} s long, the clean recording {clean.seconds:.2f} s")
        for metric, scorer in self._scorers:
            try:
                found = scorer(_clip(metric, recording, clean))
            except UnscorableError as error:
                remarks.append(f"{metric.name}: {error}")
                continue
            scores.update(zip((column.name for column in metric.columns), found, strict=True))
        return FileScores(system, key, str(path), recording.seconds, scores, tuple(remarks))


def _clip(metric: Metric, recording: Recording, clean: Recording | None) -> Clip:
    """`recording` at the metric's rate, as long as `clean` where there is one."""
    rate = metric.rate or (clean or recording).rate
    samples = recording.at(rate)
    if clean is None:
        return Clip(samples, NO_SAMPLES, rate)
    reference = clean.at(rate)
    return Clip(fit(samples, reference.size), reference, rate)
