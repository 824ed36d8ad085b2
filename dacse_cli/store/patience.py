"""Trying again what a network may have spoilt."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""Answers, not accidents: asking again brings the same."""


@dataclass(frozen=True)
class Patience:
    """Pauses in seconds between attempts, one attempt more than pauses.

    The libraries below try again by themselves what their store says to try again; this is for the rest:
    names that do not resolve for a moment, connections that break in the middle.
    """

    pauses: tuple[float, ...] = (1.0, 5.0)

    def keep(self, act: Callable[[], T]) -> T:
        """The result of `act`, or the error of its last attempt."""
        for pause in self.pauses:
            try:
                return act()
            except _FINAL:
                raise
            except Exception:
                time.sleep(pause)
        return act()
