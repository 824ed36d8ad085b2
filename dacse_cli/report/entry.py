"""The data of a report: the run, its files, and the guard's decisions about stretches of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

VERDICTS = ("kept", "repaired", "passed-through", "doubted")
"""Outcomes of a stretch: the model's first output, its second one, or the input itself; or an output that is
kept although a recogniser finds other words in it."""


@dataclass(frozen=True)
class Span:
    """A stretch of a file, in seconds, and what a guard decided about it."""

    start: float
    end: float
    verdict: str
    """One of `VERDICTS`."""
    why: str = ""


@dataclass(frozen=True)
class Entry:
    """One input of the run. Paths are as the user gave them; times are in seconds."""

    source: str
    target: str
    outcome: str
    reason: str = ""
    message: str = ""
    seconds: float = 0.0
    """Seconds of audio."""
    elapsed: float = 0.0
    """Seconds from the start of the file to its final name; files of one batch overlap."""
    playable: bool = False
    """Whether source and target are both audio and both on this disk."""
    spans: tuple[Span, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the machine-readable report."""
        return asdict(self)


@dataclass(frozen=True)
class RunFacts:
    """What the run did, and what is needed to repeat it."""

    command: str
    version: str
    finished: str
    """Date and time, for display."""
    elapsed: float = 0.0
    audio_seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the machine-readable report."""
        return asdict(self)
