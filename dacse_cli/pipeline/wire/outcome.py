"""How an input can end, and the account of a run. Every input ends in exactly one outcome."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from dacse_cli.errors import DacseError
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
    seconds: float = 0.0
    elapsed: float = 0.0
    """Seconds since a worker took it up; waiting in line is not counted."""
    resumed: float = 0.0
    """Seconds of audio taken over from a stopped run."""
    guard: GuardReport | None = None
    """What became of its chunks, where a guard was on duty."""

    def to_json(self) -> dict[str, Any]:
        """One line of `--json`."""
        return {"type": "file", **asdict(self), "outcome": self.outcome.value}


@dataclass(frozen=True)
class OutputFile:
    """A finished file under its temporary name, verified, waiting to be renamed to `target`."""

    temp: Path
    target: Path
    size: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """For the way to the supervisor."""
        return {"temp": str(self.temp), "target": str(self.target), "size": self.size, "sha256": self.sha256}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> OutputFile:
        """Inverse of `to_json`."""
        return cls(Path(data["temp"]), Path(data["target"]), data["size"], data["sha256"])


@dataclass
class Summary:
    """All results of a run, and why it stopped early if it did."""

    results: list[Result] = field(default_factory=list)
    ignored: int = 0
    elapsed: float = 0.0
    stopped_by: int | None = None
    """Signal number that ended the run."""
    settings: dict[str, object] = field(default_factory=dict)
    """Models and options that made the outputs, by name, for people."""
    fatal: DacseError | None = None
    """What stopped the run before its end."""
    earlier: Counter[Outcome] = field(default_factory=Counter)
    """Ends of inputs whose results are not kept, because there are too many."""
    earlier_seconds: float = 0.0
    bug: bool = False
    """Whether an input whose result is not kept met a bug."""

    def add(self, part: Summary) -> None:
        """Count the results of a part of the run without keeping them; what stopped it stopped the run."""
        self.earlier.update(result.outcome for result in part.results)
        self.earlier_seconds += part.seconds
        self.bug |= part.bug or any(result.reason == "internal" for result in part.results)
        self.stopped_by, self.fatal = part.stopped_by, part.fatal

    @property
    def counts(self) -> dict[str, int]:
        """How many inputs ended in each outcome; they add up to the inputs found."""
        counted = self.earlier + Counter(result.outcome for result in self.results)
        return {outcome.value: counted[outcome] for outcome in Outcome}

    @property
    def chunks(self) -> dict[str, int]:
        """What became of guarded chunks, over all files; empty where none was."""
        reports = [result.guard for result in self.results if result.guard is not None]
        names = ("kept", "repaired", "passed_through") if reports else ()
        return {name: sum(getattr(report, name) for report in reports) for name in names}

    @property
    def seconds(self) -> float:
        """Seconds of audio finished in this run."""
        kept = sum(r.seconds for r in self.results if r.outcome in (Outcome.DONE, Outcome.WARNED))
        return self.earlier_seconds + kept

    @property
    def resumed(self) -> float:
        """Seconds of that audio which a stopped run had generated already."""
        return sum(r.resumed for r in self.results)

    @property
    def exit_code(self) -> int:
        """0, 3 (some failed), 1 (a bug), 128 + signal, or what the fatal error says."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        if self.fatal is not None:
            return self.fatal.exit_code
        if self.bug or any(result.reason == "internal" for result in self.results):
            return 1
        return 3 if self.counts[Outcome.FAILED.value] else 0

    def to_json(self) -> dict[str, Any]:
        """The last line of `--json`."""
        speed = self.seconds / self.elapsed if self.elapsed else 0.0
        return {
            "type": "summary",
            "inputs": sum(self.counts.values()),
            **{name.replace("-", "_"): count for name, count in self.counts.items()},
            "ignored": self.ignored,
            **{f"chunks_{name}": count for name, count in self.chunks.items()},
            "audio_seconds": round(self.seconds, 3),
            "resumed_seconds": round(self.resumed, 3),
            "elapsed_seconds": round(self.elapsed, 3),
            "audio_seconds_per_second": round(speed, 3),
            "exit_code": self.exit_code,
        }
