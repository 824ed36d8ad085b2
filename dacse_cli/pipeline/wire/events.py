"""Events of a run, sent to whatever displays it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dacse_cli.pipeline.wire.outcome import Result


@dataclass(frozen=True)
class Planned:
    """Inputs still to process, and their seconds of audio; None if unknown before reading all of them."""

    files: int
    seconds: float | None
    found: int = 0
    """All inputs, with those that have ended already; 0 where nobody counted."""
    done: int = 0
    """Inputs that an earlier run has done."""


@dataclass(frozen=True)
class Stage:
    """The current stage of work: one line."""

    text: str


@dataclass(frozen=True)
class Detail:
    """A detail that is shown only with `-v`."""

    text: str


@dataclass(frozen=True)
class Progress:
    """Seconds of audio done so far in this run, and seconds of work since the models were ready.

    `resumed` are seconds of audio whose chunks an earlier run had generated.
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
"""Called with each event."""
