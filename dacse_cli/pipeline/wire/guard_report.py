"""What is told of a guarded file: how many chunks were kept, where the others lie, and where a recogniser
hears other words. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

KEPT, REPAIRED, PASSED = "kept", "repaired", "passed-through"
"""What can become of a chunk: the first answer, a later one, the input itself."""
DOUBTED = "doubted"
"""Of a passage: it stands as it is, but a second opinion hears other words in it than in the input."""


@dataclass(frozen=True)
class Stretch:
    """A part of a file, in seconds, that the first answer was not good enough for."""

    start: float
    stop: float
    row: int
    """Which of the channels that differ; 0 where there is one, or `--channels mono`."""
    outcome: str
    """`REPAIRED`, `PASSED` or `DOUBTED`."""
    reasons: tuple[str, ...]
    """invented, other-pitch, too-loud, dropped, stuck: what was wrong with the first answer; other-words."""
    words: tuple[str, ...] = ()
    """Of a doubted one: the words heard in the input and in the answer, `light -> night`."""

    def describe(self) -> str:
        """`0:03.84-0:04.80 passed-through (dropped)`, `0:08.00-0:17.50 doubted (light -> night)`."""
        why = ", ".join(self.words[:3] or self.reasons) + (" ..." if len(self.words) > 3 else "")
        return f"{_clock(self.start)}-{_clock(self.stop)} {self.outcome} ({why})"


@dataclass(frozen=True)
class GuardReport:
    """The guard's account of one file; counts are of generated chunks, but for the last two."""

    mode: str
    kept: int = 0
    repaired: int = 0
    passed_through: int = 0
    stretches: tuple[Stretch, ...] = ()
    """In order of time, neighbours of one kind joined."""
    compared: int = 0
    """Passages whose words were compared: those of a second opinion in which the input is intelligible."""
    doubted: int = 0
    """Of these, passages with other words."""

    @property
    def chunks(self) -> int:
        return self.kept + self.repaired + self.passed_through

    @property
    def reason(self) -> str:
        """Stable code of what a user must know first; empty where there is nothing."""
        return "passed-through" if self.passed_through else "other-words" if self.doubted else ""

    def warnings(self) -> list[str]:
        """What a user must know; empty where the model's answers stand everywhere, undoubted."""
        found = []
        if self.passed_through:
            chunks = f"{self.passed_through} of {self.chunks} chunks"
            found.append(f"{chunks} passed through unenhanced: {self._places(PASSED)}")
        if self.doubted:
            passages = f"{self.doubted} of {self.compared} passages"
            found.append(f"other words are heard in {passages}: {self._places(DOUBTED)}")
        return found

    def _places(self, outcome: str) -> str:
        where = [stretch for stretch in self.stretches if stretch.outcome == outcome]
        first = ", ".join(f"{_clock(s.start)}-{_clock(s.stop)}" for s in where[:3])
        return first + (f" and {len(where) - 3} more" if len(where) > 3 else "")

    def to_json(self) -> dict[str, Any]:
        """For `--json`, the journal and the way to the supervisor."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> GuardReport:
        """Inverse of `to_json`."""
        lists = "reasons", "words"
        stretches = (Stretch(**{**s, **{name: tuple(s[name]) for name in lists}}) for s in data["stretches"])
        return cls(**{**data, "stretches": tuple(stretches)})


def joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """In order of time and row, neighbours of one row and outcome as one."""
    found: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda s: (s.row, s.start)):
        last = found[-1] if found else None
        if last and (last.row, last.outcome) == (stretch.row, stretch.outcome) and stretch.start <= last.stop:
            reasons = tuple(dict.fromkeys(last.reasons + stretch.reasons))
            words = last.words + stretch.words
            found[-1] = Stretch(last.start, stretch.stop, last.row, last.outcome, reasons, words)
        else:
            found.append(stretch)
    return tuple(sorted(found, key=lambda s: (s.start, s.row)))


def _clock(seconds: float) -> str:
    """`0:03.84`."""
    hundredths = round(seconds * 100)
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02}.{hundredths % 100:02}"
