"""What the journals of an output in an object store say. Writes nothing there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from dacse_cli.errors import NoInputError
from dacse_cli.pipeline.record.status import Status, account
from dacse_cli.pipeline.record.store_journal import CloudJournal
from dacse_cli.store.store import Store


def look_cloud(url: str) -> Status:
    """Raises `NoInputError` where no run has written. Who is writing is not known: stores have no locks."""
    with tempfile.TemporaryDirectory(prefix="dacse-") as folder:
        journal = CloudJournal(Path(folder), Store(url))
        segments = journal.fetch_all()
        if not segments:
            raise NoInputError(f"{url} holds no journal: no run has written there")
        return account(journal.records, journal.size_of, [], segments)
