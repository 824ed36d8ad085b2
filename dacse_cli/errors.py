"""Every error a user can cause, as facts: what failed, where, and what to do next.

Knows nothing of terminals: the command line turns a class into an exit code and a line of text.
"""

from __future__ import annotations

from typing import ClassVar


class DacseError(Exception):
    """Base of all expected errors. `message` is one line; `hint` says what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders; the default would call the constructor without its keywords."""
        return (_restored, (type(self), self.args, self.__dict__))


class UsageError(DacseError):
    """Options or paths that cannot work together, found before anything is loaded."""

    exit_code = 2


class InputError(DacseError):
    """One input cannot be used; the others can. `reason` is a stable code for scripts."""

    exit_code = 3

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class NoInputError(DacseError):
    """The inputs named hold no audio at all."""

    exit_code = 4


class ModelError(DacseError):
    """A model or codec cannot be had, is damaged, or is not one dacse can run."""

    exit_code = 5


class HubError(ModelError):
    """A model cannot be fetched or is not in the cache."""


class CheckpointError(ModelError):
    """A language model's files are damaged, incomplete or of another kind."""


class CodecError(ModelError):
    """A codec's files are damaged, incomplete or of another kind."""


class OutputError(DacseError):
    """The output cannot be written: the run stops."""

    exit_code = 6


class LockedError(DacseError):
    """Another run holds this output folder."""

    exit_code = 7


class DeviceError(DacseError):
    """The device asked for is absent or cannot run the model."""

    exit_code = 8


def _restored(kind: type[DacseError], args: tuple[object, ...], facts: dict[str, object]) -> DacseError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error
