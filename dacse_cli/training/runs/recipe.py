"""The common parts of all recipes. Numbers and names only; imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from dacse_cli.errors import UsageError
from dacse_cli.training.runs.settings import read_recipe
from dacse_cli.training.runs.stages import Cadence, StagePlan


@dataclass(frozen=True)
class Origin:
    """Origin of the network: at most one of these."""

    size: str | None = None
    """Name of a published size, for a fresh network."""
    config: str | None = None
    """A `config.json`, for a fresh network; in a recipe, a path relative to it."""
    start: str | None = None
    """A Hub id, `id@revision` or a folder: training continues from its weights."""

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        named = [name for name in ("size", "config", "start") if getattr(self, name) is not None]
        return [f"{' and '.join(named)} exclude each other"] if len(named) > 1 else []


@dataclass(frozen=True)
class RunPart:
    """Settings other than those of network and data."""

    seed: int = 0
    bf16: bool = False
    """bfloat16 where it is precise enough."""
    cadence: Cadence = field(default_factory=Cadence)

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        return [] if self.seed >= 0 else ["seed must be at least 0"]


@dataclass(frozen=True)
class RunRecipe(ABC):
    """A whole run; each kind of training extends it."""

    model: Origin = field(default_factory=Origin)
    run: RunPart = field(default_factory=RunPart)

    @abstractmethod
    def stages(self) -> Sequence[StagePlan]:
        """One after another."""


Recipe = TypeVar("Recipe", bound=RunRecipe)


def read_run_recipe(
    kind: type[Recipe], path: Path | None, overrides: Sequence[str] = (), origin: Origin | None = None
) -> Recipe:
    """The recipe in `path`, with overrides from the command line. Raises `UsageError`.

    A non-empty `origin` replaces that of the recipe.
    """
    recipe = read_recipe(kind, path, overrides)
    model, origin = recipe.model, origin or Origin()
    if path is not None and model.config is not None:
        model = replace(model, config=str(path.parent / model.config))
    if origin != Origin():
        model = replace(model, size=origin.size, config=origin.config, start=origin.start)
    problems = model.problems()
    if problems:
        raise UsageError("; ".join(problems))
    return replace(recipe, model=model)


def nothing_named(what: str) -> UsageError:
    """The error for a run without an origin."""
    return UsageError(
        f"nothing says which {what} to train",
        hint="Give `size` or `config` for a fresh one, `start` for one to go on with.",
    )
