"""The supervisor's side of the intake process: which inputs are being looked at, and what came of it."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dacse_cli.pipeline.wire.process import Child, Inbox, Message, Peer, Spawn

WINDOW = 32
"""Commands given ahead, so that the intake never waits for the supervisor."""
PATIENCE_SECONDS = 120.0
PATIENCE_BYTES_PER_SECOND = 250_000
"""A look at a file may take so long: a hundred times what it takes on a slow machine and disk."""


@dataclass(frozen=True)
class Look:
    """One input to probe (headers), to scan (every sample) or only to fetch from where it lies."""

    type: str
    index: int
    path: Path


class Looker(Protocol):
    """Whoever looks at inputs for the supervisor and posts what it sees to an inbox."""

    def ask(self, look: Look) -> None:
        """Queue a look."""

    def owns(self, peer: object) -> bool:
        """Whether a message in the inbox comes from here."""

    def take(self, peer: object, message: Message | None) -> tuple[Look, Message] | None:
        """What a message answers, and the answer; None where it is none."""

    def passed(self, seconds: float) -> None:
        """Time has gone by."""

    @property
    def busy(self) -> int:
        """Looks not yet answered."""

    def close(self) -> None:
        """Leave no child behind."""


MakeLooker = Callable[[Inbox], Looker]


class Intake:
    """Commands in order, answers in order; a crash is charged to the input being looked at."""

    def __init__(self, inbox: Inbox, spawn: Spawn | None = None) -> None:
        self._inbox, self._spawn = inbox, spawn or Child
        self._child: Peer | None = None
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
                self._child = self._spawn("dacse_cli.pipeline.children.decoder", self._inbox)
            look = self._waiting.popleft()
            self._given.append(look)
            self._child.send({"type": look.type, "id": look.index, "path": str(look.path)})

    def owns(self, peer: object) -> bool:
        return peer is self._child

    def take(self, peer: object, message: Message | None) -> tuple[Look, Message] | None:
        """An answer and what it answers. A dead intake (`message` None) answers for its current input.

        One that was lost with its machine answers nothing: all it was given is asked again.
        """
        self._waited = 0.0
        if message is not None:
            look = self._given.popleft()
            self._give()
            return look, message
        assert self._child is not None
        cause, lost = self._child.cause_of_death(), self._child.lost
        self._child = None
        blamed = self._given.popleft() if self._given and not lost else None
        self._waiting.extendleft(reversed(self._given))
        self._given.clear()
        self._give()
        if blamed is None:
            return None
        return blamed, {"type": "bad", "reason": "decoder", "message": f"its decoder {cause}", "hint": None}

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
