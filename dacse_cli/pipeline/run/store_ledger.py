"""Outcomes of jobs whose inputs or outputs are objects: identity from the listing, an end when all is put."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable

from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.record.store_journal import CloudJournal
from dacse_cli.pipeline.request.inputs import Job, input_stamp
from dacse_cli.pipeline.request.listing import Item
from dacse_cli.pipeline.run.transfers import Transfers
from dacse_cli.pipeline.wire.events import Event
from dacse_cli.pipeline.wire.guard_report import GuardReport
from dacse_cli.pipeline.wire.outcome import Outcome, OutputFile
from dacse_cli.pipeline.wire.process import Message


class CloudLedger(Ledger):
    """`items` are the jobs' inputs by index. What is fetched or to be put lies on this disk till then."""

    def __init__(
        self,
        jobs: list[Job],
        items: list[Item],
        journal: Journal,
        settings: str,
        overwrite: bool,
        tell: Callable[[Event], None],
    ) -> None:
        super().__init__(jobs, journal, settings, overwrite, tell)
        self._items = items
        self._cloud = journal if isinstance(journal, CloudJournal) else None
        self._underway: dict[int, tuple[list[OutputFile], Message]] = {}
        self.transfers: Transfers | None = None

    def _stamp(self, job: Job) -> tuple[int, int]:
        """From the listing; that the object has not changed since is seen when it is fetched."""
        entry = self._items[job.index].entry
        return (entry.size, entry.stamp) if job.remote else input_stamp(job.source)

    def _place(self, index: int, files: list[OutputFile], message: Message) -> None:
        if self._cloud is None:
            super()._place(index, files, message)
            return
        assert self.transfers is not None
        for file in files:
            self._cloud.intend(file.target, self._recipes[index], file.size, file.sha256)
        self._underway[index] = (files, message)
        self.transfers.send(index, [(file.temp, file.target) for file in files])

    def is_put(self, index: int) -> None:
        """All outputs of a job are in the store."""
        files, message = self._underway.pop(index)
        for file in files:
            with contextlib.suppress(OSError):
                file.temp.unlink()
        self._placed(index, files, message)

    def end(
        self,
        index: int,
        outcome: Outcome,
        reason: str,
        message: str,
        seconds: float = 0.0,
        resumed: float = 0.0,
        guard: GuardReport | None = None,
    ) -> None:
        job = self._open[index]
        super().end(index, outcome, reason, message, seconds, resumed, guard)
        if job.remote:
            shutil.rmtree(job.source.parent, ignore_errors=True)

    def _named(self, job: Job) -> str:
        return self._cloud.name(job.target) if self._cloud is not None else job.writes
