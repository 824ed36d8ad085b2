"""The supervisor's side of the intake process: which inputs are being looked at, and what came of it."""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.pipeline.channel import Child, Message

WINDOW = 32
"""Commands given ahead, so that the intake never waits for the supervisor."""
PATIENCE_SECONDS = 120.0
PATIENCE_BYTES_PER_SECOND = 250_000
"""A look at a file may take so long: a hundred times what it takes on a slow machine and disk."""


@dataclass(frozen=True)
class Look:
    """One input to probe (headers) or scan (every sample)."""

    type: str
    index: int
    path: Path


class Intake:
    """Commands in order, answers in order; a crash is charged to the input being looked at."""

    def __init__(self, inbox: queue.SimpleQueue[tuple[Child, Message | None]]) -> None:
        self._inbox = inbox
        self._child: Child | None = None
        self._waiting: deque[Look] = deque()
        self._given: deque[Look] = deque()
        self._waited = 0.0

    def ask(self, look: Look) -> None:
        """Queue a look."""
        self._waiting.append(look)
        self._give()

    def _give(self) -> None:
        while self._waiting and len(self._given) < WINDOW:
            if self._child is None:
                self._child = Child("dacse_cli.pipeline.intake", self._inbox)
            look = self._waiting.popleft()
            self._given.append(look)
            self._child.send({"type": look.type, "id": look.index, "path": str(look.path)})

    def owns(self, child: Child) -> bool:
        return child is self._child

    def take(self, message: Message | None) -> tuple[Look, Message] | None:
        """An answer and what it answers. A dead intake (`message` None) answers for its current input."""
        self._waited = 0.0
        if message is not None:
            look = self._given.popleft()
            self._give()
            return look, message
        assert self._child is not None
        cause = self._child.cause_of_death()
        self._child = None
        if not self._given:
            return None
        look = self._given.popleft()
        self._waiting.extendleft(reversed(self._given))
        self._given.clear()
        self._give()
        return look, {"type": "bad", "reason": "decoder", "message": f"its decoder {cause}", "hint": None}

    def passed(self, seconds: float) -> None:
        """Time has gone by; a child that stays in one file for too long is stopped."""
        self._waited += seconds if self._given else 0.0
        if self._child is None or self._waited <= PATIENCE_SECONDS:
            return
        if self._waited > (limit := _patience(self._given[0].path)):
            self._child.stop(f"did not end within {limit:.0f} s")

    @property
    def busy(self) -> int:
        """Looks not yet answered."""
        return len(self._given) + len(self._waiting)

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


def _patience(path: Path) -> float:
    with contextlib.suppress(OSError):
        return PATIENCE_SECONDS + path.stat().st_size / PATIENCE_BYTES_PER_SECOND
    return PATIENCE_SECONDS
