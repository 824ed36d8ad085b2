"""What is told of a guarded file: how many chunks were kept, and where the others lie. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

KEPT, REPAIRED, PASSED = "kept", "repaired", "passed-through"
"""What can become of a chunk: the first answer, a later one, the input itself."""


@dataclass(frozen=True)
class Stretch:
    """A part of a file, in seconds, that the first answer was not good enough for."""

    start: float
    stop: float
    row: int
    """Which of the channels that differ; 0 where there is one, or `--channels mono`."""
    outcome: str
    """`REPAIRED` or `PASSED`."""
    reasons: tuple[str, ...]
    """invented, other-pitch, too-loud, dropped, stuck: what was wrong with the first answer."""

    def describe(self) -> str:
        """`0:03.84-0:04.80 passed-through (dropped)`."""
        return f"{_clock(self.start)}-{_clock(self.stop)} {self.outcome} ({', '.join(self.reasons)})"


@dataclass(frozen=True)
class GuardReport:
    """The guard's account of one file; counts are of generated chunks."""

    mode: str
    kept: int = 0
    repaired: int = 0
    passed_through: int = 0
    stretches: tuple[Stretch, ...] = ()
    """In order of time, neighbours of one kind joined."""

    @property
    def chunks(self) -> int:
        return self.kept + self.repaired + self.passed_through

    def warning(self) -> str | None:
        """What a user must know; None where the model's answers stand everywhere."""
        if not self.passed_through:
            return None
        where = [stretch for stretch in self.stretches if stretch.outcome == PASSED]
        first = ", ".join(f"{_clock(s.start)}-{_clock(s.stop)}" for s in where[:3])
        more = f" and {len(where) - 3} more" if len(where) > 3 else ""
        return f"{self.passed_through} of {self.chunks} chunks passed through unenhanced: {first}{more}"

    def to_json(self) -> dict[str, Any]:
        """For `--json`, the journal and the way to the supervisor."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> GuardReport:
        """Inverse of `to_json`."""
        stretches = (Stretch(**{**s, "reasons": tuple(s["reasons"])}) for s in data["stretches"])
        return cls(**{**data, "stretches": tuple(stretches)})


def joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """In order of time and row, neighbours of one row and outcome as one."""
    found: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda s: (s.row, s.start)):
        last = found[-1] if found else None
        if last and (last.row, last.outcome) == (stretch.row, stretch.outcome) and stretch.start <= last.stop:
            reasons = tuple(dict.fromkeys(last.reasons + stretch.reasons))
            found[-1] = Stretch(last.start, stretch.stop, last.row, last.outcome, reasons)
        else:
            found.append(stretch)
    return tuple(sorted(found, key=lambda s: (s.start, s.row)))


def _clock(seconds: float) -> str:
    """`0:03.84`."""
    hundredths = round(seconds * 100)
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02}.{hundredths % 100:02}"
