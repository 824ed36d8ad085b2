"""How an input can end, and the summary of a run. Every input ends in exactly one outcome."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from dacse_cli.errors import DacseError
from dacse_cli.pipeline.wire.coding import to_json
from dacse_cli.pipeline.wire.guard_report import GuardReport


class Outcome(str, Enum):
    """The five ends of an input."""

    DONE = "done"
    WARNED = "done-warned"
    SKIPPED = "skipped"
    FAILED = "failed"
    NOT_REACHED = "not-reached"


@dataclass(frozen=True, slots=True)
class Result:
    """End of one input. `reason` is a stable code, `message` a sentence; `seconds` are of audio."""

    source: str
    target: str
    outcome: Outcome
    reason: str = ""
    message: str = ""
    hint: str = ""
    """Hint on what the user can do, if anything."""
    seconds: float = 0.0
    elapsed: float = 0.0
    """Seconds since a worker started it, without time in the queue."""
    resumed: float = 0.0
    """Seconds of audio whose chunks an earlier run had finished."""
    guard: GuardReport | None = None
    """The guard's report, where its chunks were checked."""
    replaced: bool = False
    """Whether it replaced an output of the same input, made with other options or before that changed."""

    def to_json(self) -> dict[str, Any]:
        """One line of `--json`."""
        return {"type": "file", **to_json(self)}


@dataclass(frozen=True)
class OutputFile:
    """A finished file under its temporary name, verified, waiting to be renamed to `target`."""

    temp: Path
    target: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Finished:
    """What was made of one input: files (none for arrays), seconds of audio, warnings."""

    files: tuple[OutputFile, ...]
    seconds: float
    warnings: tuple[str, ...] = ()
    resumed: float = 0.0
    """Seconds of audio whose chunks an earlier run had finished."""
    guard: GuardReport | None = None


@dataclass
class Totals:
    """Sums over results."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    chunks: Counter[str] = field(default_factory=Counter)
    """`kept`, `repaired`, `passed_through`: empty where no chunk was checked."""
    skipped: Counter[str] = field(default_factory=Counter)
    """By reason."""
    replaced: int = 0
    seconds: float = 0.0
    resumed: float = 0.0
    bug: bool = False

    def add(self, result: Result) -> None:
        """Count one result."""
        self.outcomes[result.outcome] += 1
        self.bug |= result.reason == "internal"
        self.resumed += result.resumed
        self.replaced += result.replaced
        if result.outcome is Outcome.SKIPPED:
            self.skipped[result.reason] += 1
        if result.outcome in (Outcome.DONE, Outcome.WARNED):
            self.seconds += result.seconds
        if result.guard is not None:
            for name in ("kept", "repaired", "passed_through"):
                self.chunks[name] += getattr(result.guard, name)

    def copy(self) -> Totals:
        """A copy of the sums."""
        counters = self.outcomes.copy(), self.chunks.copy(), self.skipped.copy()
        return replace(self, outcomes=counters[0], chunks=counters[1], skipped=counters[2])


@dataclass
class Summary:
    """All results of a run, and why it stopped early if it did."""

    results: list[Result] = field(default_factory=list)
    ignored: int = 0
    elapsed: float = 0.0
    stopped_by: int | None = None
    """Signal number that ended the run."""
    settings: dict[str, object] = field(default_factory=dict)
    """Models and options that made the outputs, by name, for display."""
    fatal: DacseError | None = None
    """The error that stopped the run early."""
    keeps_chunks: bool = False
    """Whether the next run takes over finished chunks of unfinished files."""
    place: str | None = None
    """The folder or URL of the outputs, where there is a journal."""
    _totals: Totals = field(default_factory=lambda: Totals())
    """Sums over inputs whose results are not stored because there are too many."""

    def forget_results(self) -> None:
        """Count the results so far without keeping them."""
        self._totals = self._count()
        self.results.clear()

    def not_reached(self, inputs: int) -> None:
        """Count inputs that the run has not come to."""
        self._totals.outcomes[Outcome.NOT_REACHED] += inputs

    def _count(self) -> Totals:
        """Of all results, kept or not."""
        total = self._totals.copy()
        for result in self.results:
            total.add(result)
        return total

    @property
    def counts(self) -> dict[str, int]:
        """How many inputs ended in each outcome; they add up to the inputs found."""
        outcomes = self._count().outcomes
        return {outcome.value: outcomes[outcome] for outcome in Outcome}

    @property
    def skipped(self) -> dict[str, int]:
        """How many inputs were skipped, by reason."""
        return dict(self._count().skipped)

    @property
    def replaced(self) -> int:
        """How many earlier outputs of the same inputs were replaced unasked."""
        return self._count().replaced

    @property
    def chunks(self) -> dict[str, int]:
        """Outcomes of checked chunks, summed over all files; empty where none was checked."""
        return dict(self._count().chunks)

    @property
    def seconds(self) -> float:
        """Seconds of audio finished in this run."""
        return self._count().seconds

    @property
    def resumed(self) -> float:
        """Seconds of that audio which an earlier run had generated already."""
        return self._count().resumed

    @property
    def problem(self) -> DacseError | None:
        """The error that ended the run early; a bug where inputs were not reached and nothing says why."""
        left = self.counts[Outcome.NOT_REACHED.value]
        if self.fatal is not None or self.stopped_by is not None or not left:
            return self.fatal
        message = f"a bug: inputs not reached: {left}, although nothing stopped the run"
        return DacseError(message, hint="Run the same command again to do the rest.")

    @property
    def exit_code(self) -> int:
        """0, 3 (some failed), 1 (a bug), 128 + signal, or what the error says that ended the run."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        if (problem := self.problem) is not None:
            return problem.exit_code
        if self._count().bug:
            return 1
        return 3 if self.counts[Outcome.FAILED.value] else 0

    def to_json(self) -> dict[str, Any]:
        """The last line of `--json`."""
        speed = self.seconds / self.elapsed if self.elapsed else 0.0
        return {
            "type": "summary",
            "inputs": sum(self.counts.values()),
            **{name.replace("-", "_"): count for name, count in self.counts.items()},
            "replaced": self.replaced,
            "ignored": self.ignored,
            **{f"chunks_{name}": count for name, count in self.chunks.items()},
            "audio_seconds": round(self.seconds, 3),
            "resumed_seconds": round(self.resumed, 3),
            "elapsed_seconds": round(self.elapsed, 3),
            "audio_seconds_per_second": round(speed, 3),
            "exit_code": self.exit_code,
        }
