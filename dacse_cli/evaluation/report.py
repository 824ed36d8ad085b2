"""The result of an evaluation: scores per file, means per system, what was missing. Renders nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dacse_cli.errors import InputError
from dacse_cli.evaluation.bootstrap import Estimate, Floats, difference, estimate
from dacse_cli.evaluation.groups import Groups
from dacse_cli.evaluation.metric import Column, Metric, ScoringOptions
from dacse_cli.evaluation.scoring import FileScores


@dataclass(frozen=True)
class Report:
    """All results of an evaluation."""

    metrics: tuple[Metric, ...]
    """The metrics that were computed."""
    missing: Mapping[str, str]
    """Metric -> why it could not be computed and what to do about it."""
    files: Sequence[FileScores]
    """Sorted by recording, then in the order of the systems."""
    remarks: Sequence[str]
    """Remarks needed to compare the systems: recordings that one of them lacks."""
    options: ScoringOptions
    packages: Mapping[str, str]
    """Package -> version."""
    groups: Groups | None = None
    """The property by which means are also given per group."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, in the registry's order."""
        return tuple(column for metric in self.metrics for column in metric.columns)

    @property
    def systems(self) -> tuple[str, ...]:
        """Systems, `noisy` first where it was given, the others as they were named."""
        return tuple(dict.fromkeys(file.system for file in self.files))

    @property
    def failures(self) -> tuple[FileScores, ...]:
        """Files that could not be scored at all."""
        return tuple(file for file in self.files if file.failure is not None)

    def grouped(self) -> Iterator[tuple[str, Report]]:
        """(value, report on the recordings that have it) of every group."""
        for value, keys in self.groups.groups if self.groups is not None else ():
            files = [file for file in self.files if file.key in keys]
            yield value, replace(self, files=files, groups=None)

    def check(self) -> None:
        """Raise `InputError` if there are failures."""
        if self.failures:
            names = ", ".join(f"{file.system}/{file.key}" for file in self.failures[:3])
            raise InputError(
                f"{len(self.failures)} recordings could not be scored: {names}", reason="not-scored"
            )

    def means(self, system: str) -> dict[str, Estimate]:
        """Column -> mean of one system over the files that have this score."""
        found = {}
        for column in self.columns:
            totals, counts = self._arrays(system, column.name, self._keys(system, column.name))
            mean = estimate(totals, counts, self.options.resamples, self.options.seed)
            if mean is not None:
                found[column.name] = mean
        return found

    def gains(self, system: str, baseline: str) -> dict[str, Estimate]:
        """Column -> mean of `system` minus mean of `baseline`, over the files that both have a score for."""
        found = {}
        for column in self.columns:
            theirs = set(self._keys(baseline, column.name))
            keys = [key for key in self._keys(system, column.name) if key in theirs]
            gain = difference(
                self._arrays(system, column.name, keys),
                self._arrays(baseline, column.name, keys),
                self.options.resamples,
                self.options.seed,
            )
            if gain is not None:
                found[column.name] = gain
        return found

    def _keys(self, system: str, column: str) -> list[str]:
        return [file.key for file in self.files if file.system == system and column in file.scores]

    def _arrays(self, system: str, column: str, keys: Sequence[str]) -> tuple[Floats, Floats]:
        scores = {
            file.key: file.scores[column]
            for file in self.files
            if file.system == system and column in file.scores
        }
        return (
            np.array([scores[key].total for key in keys], dtype=np.float64),
            np.array([scores[key].count for key in keys], dtype=np.float64),
        )
