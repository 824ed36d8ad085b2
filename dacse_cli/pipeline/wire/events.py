"""What a run tells whoever watches it, as it happens. Rendering is somebody else's work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dacse_cli.pipeline.wire.outcome import Result


@dataclass(frozen=True)
class Planned:
    """All inputs have been looked at: files still to do and their seconds of audio."""

    files: int
    seconds: float


@dataclass(frozen=True)
class Stage:
    """What is going on before the first result: one line."""

    text: str


@dataclass(frozen=True)
class Detail:
    """Something only `-v` shows."""

    text: str


@dataclass(frozen=True)
class Progress:
    """Seconds of audio generated so far in this run, and seconds of work since the models were ready.

    `resumed` are seconds of audio taken over from a stopped run, which cost no work.
    """

    seconds: float
    elapsed: float
    resumed: float = 0.0


@dataclass(frozen=True)
class Ended:
    """One input has reached its outcome."""

    result: Result


Event = Planned | Stage | Detail | Progress | Ended
Tell = Callable[[Event], None]
"""Who is told."""
