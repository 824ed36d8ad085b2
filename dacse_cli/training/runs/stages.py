"""The stages of a run, and how often it is logged, measured and saved. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dacse_cli.errors import UsageError


@dataclass(frozen=True)
class Cadence:
    """Intervals in steps; 0: at the end of a stage only."""

    log_every: int = 10
    validate_every: int = 500
    save_every: int = 500

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        return [f"{name} must be at least 0" for name, every in vars(self).items() if every < 0]


@dataclass(frozen=True)
class StagePlan:
    """A stage by name, and its length."""

    name: str
    steps: int
    minutes: float = 0.0
    """If above 0, the stage ends after this time instead, and schedules follow elapsed time; time in which
    the run was stopped does not count."""

    @property
    def folder(self) -> str:
        """Name of the folder for its best model."""
        return re.sub(r"[^A-Za-z0-9_-]+", "-", self.name).strip("-") or "stage"


def last_stage(stages: Sequence[StagePlan], until: str | None) -> int:
    """Index of the stage `until`, or of the last. Raises `UsageError` for duplicate or unknown names."""
    folders = [stage.folder for stage in stages]
    twice = sorted({name for name in folders if folders.count(name) > 1})
    if twice:
        raise UsageError(f"two stages are called {twice[0]}")
    names = [stage.name for stage in stages]
    if until is not None and until not in names:
        raise UsageError(f"there is no stage {until}", hint=f"The stages are {', '.join(names)}.")
    return len(stages) - 1 if until is None else names.index(until)
