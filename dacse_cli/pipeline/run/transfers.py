"""Threads that fetch inputs ahead of the decoder and put outputs behind the model."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from dacse_cli.errors import DacseError, InputError
from dacse_cli.pipeline.record.store_journal import CloudJournal
from dacse_cli.pipeline.run.decoders import Intake, Look
from dacse_cli.pipeline.wire.process import Inbox, Message

THREADS = 8
MAX_UPLOADS = 32
"""Outputs waiting to be put, beyond which no new input is fetched: what waits fills the disk."""

Put = tuple[Path, Path]
"""A finished file under its temporary name, and its target."""


class Transfers:
    """A `Looker`: fetches an input before the intake looks at it; and puts outputs in the background.

    Fetches and puts are messages in the supervisor's inbox, from this object. `fetch(index)` brings an input
    here; `placed(index)` is called in the supervisor's thread when all outputs of a job are in the store.
    """

    def __init__(
        self,
        inbox: Inbox,
        fetch: Callable[[int], None],
        journal: CloudJournal | None,
        placed: Callable[[int], None],
    ) -> None:
        self._inbox, self._fetch, self._journal, self._placed = inbox, fetch, journal, placed
        self._intake = Intake(inbox)
        self._looks: dict[int, Look] = {}
        self._uploads: set[int] = set()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[tuple[int, list[Put]] | None] = queue.SimpleQueue()
        for _ in range(THREADS):
            threading.Thread(target=self._do, daemon=True).start()
        if journal is not None:
            threading.Thread(target=self._announce, args=(journal,), daemon=True).start()

    # -- in the supervisor's thread ----------------------------------------------------------------------

    def ask(self, look: Look) -> None:
        self._looks[look.index] = look
        self._work.put(lambda: self._tell(look.index, "fetched", lambda: self._fetch(look.index)))

    def send(self, index: int, files: list[Put]) -> None:
        """Put the outputs of a job; their intents are in the journal."""
        self._uploads.add(index)
        self._ready.put((index, files))

    def owns(self, peer: object) -> bool:
        return peer is self or self._intake.owns(peer)

    def take(self, peer: object, message: Message | None) -> tuple[Look, Message] | None:
        """Raises `OutputError` where an output could not be put."""
        if peer is not self:
            return self._intake.take(peer, message)
        assert message is not None
        if message["type"] == "put":
            self._uploads.discard(message["id"])
            if message["error"] is not None:
                raise message["error"]
            self._placed(message["id"])
            return None
        look = self._looks.pop(message["id"])
        if message["error"] is not None:
            error = message["error"]
            return look, {"type": "bad", "reason": error.reason, "message": error.message}
        if look.type == "fetch":
            return look, {"type": "fetch"}
        self._intake.ask(look)
        return None

    def passed(self, seconds: float) -> None:
        self._intake.passed(seconds)

    @property
    def busy(self) -> int:
        """Looks not yet answered, and uploads that the line is too slow for."""
        return len(self._looks) + self._intake.busy + max(0, len(self._uploads) - MAX_UPLOADS)

    def close(self) -> None:
        """Send the threads home: each holds its wave, and a run has a thousand waves."""
        self._intake.close()
        self._ready.put(None)
        for _ in range(THREADS):
            self._work.put(None)

    # -- in threads of their own, which end after `close` and with the process ---------------------------

    def _do(self) -> None:
        while (act := self._work.get()) is not None:
            act()

    def _announce(self, journal: CloudJournal) -> None:
        """Put the journal with all intents there are, then their outputs, side by side; again and again."""
        while (first := self._ready.get()) is not None:
            group = [first, *_waiting(self._ready)]
            try:
                journal.sync()
            except DacseError as error:
                self._inbox.put((self, {"type": "put", "id": first[0], "error": error}))
                continue
            for index, files in group:
                self._work.put(lambda index=index, files=files: self._put(journal, index, files))  # type: ignore[misc]

    def _put(self, journal: CloudJournal, index: int, files: list[Put]) -> None:
        def put() -> None:
            for temp, target in files:
                journal.put(temp, target)

        self._tell(index, "put", put)

    def _tell(self, index: int, kind: str, act: Callable[[], None]) -> None:
        """Do something and tell the supervisor what became of it."""
        error: Exception | None = None
        try:
            act()
        except DacseError as failure:
            error = failure
        except OSError as failure:  # this disk is full
            error = InputError(f"no room for it here: {failure.strerror}", reason="disk")
        self._inbox.put((self, {"type": kind, "id": index, "error": error}))


def _waiting(ready: queue.SimpleQueue[tuple[int, list[Put]] | None]) -> Iterator[tuple[int, list[Put]]]:
    """What lies in a queue now; the mark of its end stays there."""
    while True:
        try:
            item = ready.get_nowait()
        except queue.Empty:
            return
        if item is None:
            ready.put(None)
            return
        yield item
