"""Every error that a user can cause, with what failed, where, and what to do next.

Independent of terminals: the command line turns a class into an exit code and a line of text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import ClassVar


class DacseError(Exception):
    """Base of all expected errors. `message` is one line; `hint` says what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint and sentence(hint)

    def __reduce__(self) -> tuple[object, ...]:
        """For errors sent between processes; the default would call the constructor without keywords."""
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
    """A model or codec cannot be found or fetched, is damaged, or is of a kind that dacse cannot run."""

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
    """The requested device is absent or cannot run the model."""

    exit_code = 8


_COMMANDS = "cat|dacse|ffmpeg|hf|pip"
_CODE_AT_END = re.compile(rf"(^|: )({_COMMANDS}) [^`]*$|://\S*$")
"""A command or an address at the end of a hint, which a full stop would make hard to copy."""


def sentence(hint: str) -> str:
    """`hint` with a capital letter and a full stop, where they would not change a command or an address."""
    begins_with_word = re.match(rf"(?!({_COMMANDS}) )[a-z]+[ ,]", hint)
    text = hint[:1].upper() + hint[1:] if begins_with_word else hint
    return text if text.endswith((".", "?", "!")) or _CODE_AT_END.search(text) else f"{text}."


def did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """The hint for a word that is not in `known`: the closest ones, else `otherwise`.

    Case, and everything before the last slash, are ignored.
    """
    names = {_last_part(name): name for name in known}
    close = difflib.get_close_matches(_last_part(word), names, 3)
    return f"Did you mean {' or '.join(names[one] for one in close)}?" if close else otherwise


def _last_part(name: str) -> str:
    return re.split(r"[/\\]", name)[-1].lower()


def _restored(kind: type[DacseError], args: tuple[object, ...], facts: dict[str, object]) -> DacseError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error
