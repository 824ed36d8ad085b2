"""Retries of operations that failed because of the network."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""Errors that would occur again."""


@dataclass(frozen=True)
class Retries:
    """Pauses in seconds between attempts, one attempt more than pauses.

    The underlying libraries retry what their store asks them to. This is for other errors: names that
    temporarily do not resolve, broken connections.
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
