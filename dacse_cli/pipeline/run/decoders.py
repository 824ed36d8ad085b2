"""The supervisor's side of the decoder processes: which inputs are being read, and the results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dacse_cli.pipeline.wire.failures import Failure
from dacse_cli.pipeline.wire.messages import Decoding, Look, Seen, Unreadable
from dacse_cli.pipeline.wire.process import Child, Inbox, Peer, Spawn

MODULE = "dacse_cli.pipeline.children.decoder"
WINDOW = 32
"""Messages sent in advance, so that a decoder never waits for the supervisor."""
SILENCE_SECONDS = 120.0
"""Seconds without a message after which a decoder is stopped: a hundred times the usual interval."""


@dataclass(frozen=True)
class Here:
    """A token file from a store is on this disk now. Does not cross a process border."""

    id: int


Answer = Seen | Unreadable | Here


class Decoders(Protocol):
    """Reads inputs for the supervisor and posts the answers to its inbox."""

    def ask(self, look: Look) -> None:
        """Queue an input."""

    def owns(self, sender: object) -> bool:
        """Whether a message in the inbox was sent by these decoders."""

    def take(self, sender: object, message: object) -> Answer | None:
        """The answer in a message; None where it holds none. Raises `DacseError`."""

    def passed(self, seconds: float) -> None:
        """Account for time that has passed."""

    @property
    def busy(self) -> int:
        """Inputs without an answer."""

    def close(self) -> None:
        """End all processes."""


MakeDecoders = Callable[[Inbox], Decoders]


class Decoder:
    """One process: messages in order, answers in order; a crash is charged to the input being read."""

    def __init__(self, inbox: Inbox, spawn: Spawn | None = None) -> None:
        self._inbox, self._spawn = inbox, spawn or Child
        self._peer: Peer | None = None
        self._waiting: deque[Look] = deque()
        self._given: deque[Look] = deque()
        self._silent = 0.0

    def ask(self, look: Look) -> None:
        self._waiting.append(look)
        self._give()

    def _give(self) -> None:
        while self._waiting and len(self._given) < WINDOW:
            if self._peer is None:
                self._peer = self._spawn(MODULE, self._inbox)
            look = self._waiting.popleft()
            self._given.append(look)
            self._peer.send(look)

    def owns(self, sender: object) -> bool:
        return sender is self._peer

    def take(self, sender: object, message: object) -> Answer | None:
        """The end of the process (`message` None) is the answer for its current input.

        After the loss of its machine there is no answer: everything it was given is queued again.
        """
        self._silent = 0.0
        if isinstance(message, Decoding):
            return None
        if isinstance(message, (Seen, Unreadable)):
            self._given.popleft()
            self._give()
            return message
        assert self._peer is not None
        cause, lost = self._peer.cause_of_death(), self._peer.lost
        self._peer = None
        blamed = self._given.popleft() if self._given and not lost else None
        self._waiting.extendleft(reversed(self._given))
        self._given.clear()
        self._give()
        if blamed is None:
            return None
        return Unreadable(blamed.id, Failure("decoder", f"cannot be decoded: the decoder process {cause}"))

    def passed(self, seconds: float) -> None:
        """Stop a process that has sent no message for too long."""
        self._silent += seconds if self._given else 0.0
        if self._peer is not None and self._silent > SILENCE_SECONDS:
            self._silent = 0.0
            self._peer.stop(f"made no progress for {SILENCE_SECONDS:.0f} s")

    @property
    def busy(self) -> int:
        return len(self._given) + len(self._waiting)

    def close(self) -> None:
        if self._peer is not None:
            self._peer.kill()
            self._peer = None


class DecoderPool:
    """Several decoders; each input goes to the one with the fewest inputs queued."""

    def __init__(self, inbox: Inbox, count: int, spawn: Spawn) -> None:
        self._decoders: Sequence[Decoder] = [Decoder(inbox, spawn) for _ in range(count)]

    def ask(self, look: Look) -> None:
        min(self._decoders, key=lambda decoder: decoder.busy).ask(look)

    def owns(self, sender: object) -> bool:
        return any(decoder.owns(sender) for decoder in self._decoders)

    def take(self, sender: object, message: object) -> Answer | None:
        return next(decoder for decoder in self._decoders if decoder.owns(sender)).take(sender, message)

    def passed(self, seconds: float) -> None:
        for decoder in self._decoders:
            decoder.passed(seconds)

    @property
    def busy(self) -> int:
        return sum(decoder.busy for decoder in self._decoders)

    def close(self) -> None:
        for decoder in self._decoders:
            decoder.close()
