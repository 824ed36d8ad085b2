"""What every recipe contains, whatever is trained. Numbers and names only; imports no torch."""

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
    """Where the network comes from: one of these."""

    size: str | None = None
    """A published one, fresh."""
    config: str | None = None
    """A `config.json`, fresh; one that a recipe names lies beside it."""
    start: str | None = None
    """A Hub id, `id@revision` or a folder: training goes on from its weights."""

    def problems(self) -> list[str]:
        """What cannot be."""
        named = [name for name in ("size", "config", "start") if getattr(self, name) is not None]
        return [f"{' and '.join(named)} exclude each other"] if len(named) > 1 else []


@dataclass(frozen=True)
class RunPart:
    """What is neither the network's nor the data's."""

    seed: int = 0
    bf16: bool = False
    """bfloat16 where it is exact enough."""
    cadence: Cadence = field(default_factory=Cadence)

    def problems(self) -> list[str]:
        """What cannot be."""
        return [] if self.seed >= 0 else ["seed must be at least 0"]


@dataclass(frozen=True)
class RunRecipe(ABC):
    """A whole run; what is trained adds its own."""

    model: Origin = field(default_factory=Origin)
    run: RunPart = field(default_factory=RunPart)

    @abstractmethod
    def stages(self) -> Sequence[StagePlan]:
        """One after another."""


Recipe = TypeVar("Recipe", bound=RunRecipe)


def read_run_recipe(
    kind: type[Recipe], path: Path | None, overrides: Sequence[str] = (), origin: Origin | None = None
) -> Recipe:
    """The recipe in `path` with what the command line says in its place. Raises `UsageError`.

    An `origin` that names anything replaces whichever the recipe names.
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
    """For a run whose origin is empty."""
    return UsageError(
        f"nothing says which {what} to train",
        hint="Give --size or --config for a fresh one, --from for one to go on with.",
    )
