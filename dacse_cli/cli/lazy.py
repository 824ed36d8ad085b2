"""Commands that are imported when they are called, so that no command waits for the imports of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer

from dacse_cli.cli.helping import Command, Group


@dataclass(frozen=True)
class Later:
    """Where a command is, and its line in the help of the group."""

    where: str
    """`module:name` below `dacse_cli.cli`, of a function or of a `typer.Typer`."""
    summary: str
    panel: str | None = None
    """Heading in the help of the group."""


class LazyGroup(Group):
    """A group of commands from a table."""

    later: ClassVar[Mapping[str, Later]]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands(self.later)


class _Commands(MutableMapping[str, Any]):
    """Name -> command, imported at its first use; listing the names imports nothing."""

    def __init__(self, later: Mapping[str, Later]) -> None:
        self._later, self._built = later, dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = _build(name, self._later[name])
        return self._built[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        del self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._later)

    def __len__(self) -> int:
        return len(self._later)


def _build(name: str, later: Later) -> Any:
    module, _, attribute = later.where.partition(":")
    found = getattr(import_module(f"dacse_cli.cli.{module}"), attribute)
    about: dict[str, Any] = {"rich_help_panel": later.panel, "short_help": later.summary}
    app = found
    if not isinstance(found, typer.Typer):
        app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
        app.command(name, cls=Command)(found)
    command = typer.main.get_command(app)
    for key, value in about.items():
        setattr(command, key, value)
    return command
