"""Results of the guard for a file: how many chunks were kept, repaired or passed through, and where.

Also the passages in which a speech recogniser finds different words. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

KEPT, REPAIRED, PASSED = "kept", "repaired", "passed-through"
"""What becomes of a chunk: the first output is kept, a later one, or the input is passed through."""
DOUBTED = "doubted"
"""Outcome of a passage that is kept although a recogniser finds other words in it than in the input."""


@dataclass(frozen=True)
class Stretch:
    """A part of a file, in seconds, whose first output was doubted."""

    start: float
    stop: float
    row: int
    """Index among the channels that differ; 0 where there is one, or for mono."""
    outcome: str
    """`REPAIRED`, `PASSED` or `DOUBTED`."""
    reasons: tuple[str, ...]
    """What was wrong with the first output: invented, other-pitch, too-loud, dropped, stuck, other-words."""
    words: tuple[str, ...] = ()
    """Of a doubted passage: words in the input and in the output, `light -> night`."""

    def describe(self) -> str:
        """`0:03.84-0:04.80 passed-through (dropped)`, `0:08.00-0:17.50 doubted (light -> night)`."""
        why = ", ".join(self.words[:3] or self.reasons) + (" ..." if len(self.words) > 3 else "")
        return f"{_clock(self.start)}-{_clock(self.stop)} {self.outcome} ({why})"


@dataclass(frozen=True)
class GuardReport:
    """One file's chunks. The first three counts are of generated chunks."""

    mode: str
    kept: int = 0
    repaired: int = 0
    passed_through: int = 0
    stretches: tuple[Stretch, ...] = ()
    """In order of time, neighbours of one kind joined."""
    compared: int = 0
    """Passages whose words were compared: those in which the recogniser understands the input."""
    doubted: int = 0
    """Of these, passages with other words."""

    @property
    def chunks(self) -> int:
        return self.kept + self.repaired + self.passed_through

    @property
    def reason(self) -> str:
        """Reason code of the most important warning; empty where there is none."""
        return "passed-through" if self.passed_through else "other-words" if self.doubted else ""

    def warnings(self) -> list[str]:
        """One sentence each; empty where every first output was kept and none doubted."""
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


def joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """In order of time and row; neighbours of one row and outcome become one."""
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
