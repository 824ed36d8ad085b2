"""Which input of a run an output belongs to, for files whose names are known only once they are written."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from dacse_cli.pipeline.request.jobs import Job


class Claims:
    """The targets of jobs and further files made by them; built at the first query."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._owners: dict[str, str] = {}

    def owner(self, job: Job, target: Path) -> str:
        """The input that `target` belongs to: that of `job`, unless another input claimed it before."""
        if not self._owners:
            self._owners = {_folded(one.target): one.name for one in self._jobs}
        return self._owners.setdefault(_folded(target), job.name)


def _folded(target: Path) -> str:
    """One spelling for all paths that some file system treats as the same name."""
    return unicodedata.normalize("NFC", str(target)).casefold()
