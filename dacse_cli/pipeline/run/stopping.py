"""How a run ends after a stop signal.

First signal: finish files that end within `GRACE_SECONDS`, drop the rest. Second: stop immediately.
"""

from __future__ import annotations

import time

GRACE_SECONDS = 10.0
TICK = 1.0
"""Seconds after which the timeouts are checked if no event arrives."""


class StoppedError(Exception):
    """The grace period is over, or a second signal came."""


class Stopping:
    """The stop signals received so far."""

    def __init__(self) -> None:
        self._deadline: float | None = None

    @property
    def asked(self) -> bool:
        """Whether a signal was received: no new work is started."""
        return self._deadline is not None

    def signalled(self, *, ends_soon: bool) -> bool:
        """Note a signal; whether work continues for the grace period. Raises `StoppedError` at the second."""
        if self.asked:
            raise StoppedError
        self._deadline = time.monotonic() + (GRACE_SECONDS if ends_soon else 0.0)
        return ends_soon

    def wait(self) -> float:
        """Seconds to wait for an event before the timeouts are checked."""
        return TICK if self._deadline is None else min(TICK, max(0.0, self._deadline - time.monotonic()))

    def check(self) -> None:
        """Raise `StoppedError` when the grace period is over."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise StoppedError
