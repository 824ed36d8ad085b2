"""Repeating what failed because of the network."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""Errors that a repetition would meet again."""


@dataclass(frozen=True)
class Retries:
    """Pauses in seconds between attempts, one attempt more than pauses.

    The libraries below repeat by themselves what their store asks to be repeated. This is for the rest: names
    that do not resolve for a moment, connections that break.
    """

    pauses: tuple[float, ...] = (1.0, 5.0)

    def run(self, act: Callable[[], T]) -> T:
        """The result of `act`, or the error of its last attempt."""
        for pause in self.pauses:
            try:
                return act()
            except _FINAL:
                raise
            except Exception:
                time.sleep(pause)
        return act()
