"""Threads that download inputs before decoding and upload outputs after enhancement."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dacse_cli.errors import DacseError, InputError
from dacse_cli.files.problems import reason
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.record.no_journal import NoJournal
from dacse_cli.pipeline.run.decoders import Answer, Decoders, Here
from dacse_cli.pipeline.wire.failures import failure_of
from dacse_cli.pipeline.wire.messages import Look, Unreadable
from dacse_cli.pipeline.wire.outcome import OutputFile
from dacse_cli.pipeline.wire.process import Inbox
from dacse_cli.tokens.names import has_token_suffix

THREADS = 8
MAX_UPLOADS = 32
"""Outputs waiting for upload, beyond which no new input is fetched: waiting outputs fill the disk."""


@dataclass(frozen=True)
class _Fetched:
    """An input was fetched, or the error."""

    id: int
    error: DacseError | None


@dataclass(frozen=True)
class _Put:
    """All outputs of a job were uploaded, or the error."""

    id: int
    error: DacseError | None


class Transfers:
    """Decoders for inputs that are fetched first, and threads that put outputs.

    Fetches and puts are messages in the supervisor's inbox, sent by this object.
    """

    def __init__(
        self, inbox: Inbox, decoders: Decoders, ledger: Ledger, journal: Journal | NoJournal
    ) -> None:
        self._inbox, self._decoders, self._ledger, self._journal = inbox, decoders, ledger, journal
        self._looks: dict[int, Look] = {}
        self._uploads: set[int] = set()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[tuple[int, list[OutputFile]] | None] = queue.SimpleQueue()
        for _ in range(THREADS):
            threading.Thread(target=self._do, daemon=True).start()
        threading.Thread(target=self._announce, daemon=True).start()

    # -- in the supervisor's thread ----------------------------------------------------------------------

    def ask(self, look: Look) -> None:
        job = self._ledger.job(look.id)
        if job.entry is None:
            self._decoders.ask(look)
            return
        self._looks[look.id] = look
        self._work.put(lambda: self._inbox.put((self, _Fetched(look.id, _error_of(job.fetch)))))

    def publish(self, index: int, files: list[OutputFile]) -> None:
        """Upload the outputs of a job; their intents are in the journal."""
        self._uploads.add(index)
        self._ready.put((index, files))

    def owns(self, sender: object) -> bool:
        return sender is self or self._decoders.owns(sender)

    def take(self, sender: object, message: object) -> Answer | None:
        """Raises `OutputError` where an output could not be uploaded."""
        if isinstance(message, _Put):
            self._uploads.discard(message.id)
            if message.error is not None:
                raise message.error
            self._ledger.published(message.id)
            return None
        if not isinstance(message, _Fetched):
            return self._decoders.take(sender, message)
        look = self._looks.pop(message.id)
        if message.error is not None:
            return Unreadable(look.id, failure_of(message.error))
        if has_token_suffix(look.path.name):
            return Here(look.id)
        self._decoders.ask(look)
        return None

    def passed(self, seconds: float) -> None:
        self._decoders.passed(seconds)

    @property
    def busy(self) -> int:
        """Inputs without an answer, and uploads beyond what may wait."""
        return len(self._looks) + self._decoders.busy + max(0, len(self._uploads) - MAX_UPLOADS)

    def close(self) -> None:
        """End the threads."""
        self._decoders.close()
        self._ready.put(None)
        for _ in range(THREADS):
            self._work.put(None)

    # -- in threads of their own, which end after `close` and with the process ---------------------------

    def _do(self) -> None:
        while (act := self._work.get()) is not None:
            act()

    def _announce(self) -> None:
        """Put the journal with all pending intents, then their outputs in parallel; repeat until the end."""
        while (first := self._ready.get()) is not None:
            group = [first, *_waiting(self._ready)]
            error = _error_of(self._journal.place.sync)
            for index, files in group:
                if error is not None:
                    self._inbox.put((self, _Put(index, error)))
                else:
                    self._work.put(lambda index=index, files=files: self._put(index, files))  # type: ignore[misc]

    def _put(self, index: int, files: list[OutputFile]) -> None:
        def put() -> None:
            for file in files:
                self._journal.place.publish(file.temp, self._journal.key(file.target))
            for file in files:
                with contextlib.suppress(OSError):
                    file.temp.unlink()

        self._inbox.put((self, _Put(index, _error_of(put))))


def _error_of(act: Callable[[], None]) -> DacseError | None:
    """Run a function; return the error it raised, or None."""
    try:
        act()
    except DacseError as error:
        return error
    except OSError as error:
        return InputError(f"the copy on this disk cannot be written: {reason(error)}", reason="disk")
    return None


def _waiting(
    ready: queue.SimpleQueue[tuple[int, list[OutputFile]] | None],
) -> Iterator[tuple[int, list[OutputFile]]]:
    """All current items of a queue; its end marker stays in it."""
    while True:
        try:
            item = ready.get_nowait()
        except queue.Empty:
            return
        if item is None:
            ready.put(None)
            return
        yield item
