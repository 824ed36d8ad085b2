"""A pickle as plain values, without executing it: its opcodes are read, and calls are only recorded.

Supports the few opcodes that numpy and torch write. The caller lists the globals that may be named. The
result consists of dicts, lists, tuples, strings, bytes and numbers, with a `Call` where the pickle would call
something. Everything is bounded by the file's size and by the limits below. Numbers have at most 8 bytes, and
dict keys are strings or whole numbers: a tuple of twice the same tuple, nested 24 times, takes minutes to
hash, compare or print. Values are never printed for the same reason.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

MAX_OPCODES = 1_000_000
"""They take about a second to read; a network of 783 tensors has 25,000."""
MAX_TEXT = 1 << 16
"""Highest length of a string in bytes; names of tensors are short."""


class PickleError(ValueError):
    """The pickle is damaged, or holds something that is not allowed."""


@dataclass
class Call:
    """A call that the pickle asks for: the global `name`, its arguments, and the state set on the result."""

    name: str
    """`module.name`."""
    args: Any
    state: Any = None
    items: Any = None
    """A dict of the entries set on the result, or None."""


@dataclass(frozen=True)
class Reference:
    """An object stored outside the pickle, by its persistent id."""

    key: Any


@dataclass(frozen=True)
class Global:
    """A global named by the pickle, `module.name`; one of `allowed`."""

    name: str


class _Mark:
    pass


_MARK = _Mark()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUSH = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
_NOTHING = {"PROTO", "FRAME"}


def read_pickle(data: bytes, allowed: Collection[str]) -> Any:
    """The value pickled in `data`, which may name only the globals of `allowed` (`module.name`).

    Raises `PickleError` for any other name, and if `data` is damaged or exceeds a limit.
    """
    reader = _Reader(allowed)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
            if count >= MAX_OPCODES:
                raise PickleError(f"it has more than {MAX_OPCODES} opcodes")
            if opcode.name == "STOP":
                return reader.result()
            reader.step(opcode.name, argument)
    except PickleError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise PickleError(f"it is damaged ({type(error).__name__})") from error
    raise PickleError("it has no end")


class _Reader:
    """The stack and memo of a pickle."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._special: dict[str, Callable[[], None]] = {
            "MARK": lambda: self._stack.append(_MARK),
            "EMPTY_DICT": lambda: self._stack.append({}),
            "EMPTY_LIST": lambda: self._stack.append([]),
            "EMPTY_TUPLE": lambda: self._stack.append(()),
            "TUPLE": lambda: self._stack.append(tuple(self._since_mark())),
            "TUPLE1": lambda: self._tuple(1),
            "TUPLE2": lambda: self._tuple(2),
            "TUPLE3": lambda: self._tuple(3),
            "MEMOIZE": lambda: self._remember(len(self._memo)),
            "APPEND": lambda: self._append([self._stack.pop()]),
            "APPENDS": lambda: self._append(self._since_mark()),
            "SETITEM": lambda: self._set_items(self._pop(2)),
            "SETITEMS": lambda: self._set_items(self._since_mark()),
            "STACK_GLOBAL": self._stack_global,
            "REDUCE": self._reduce,
            "BUILD": self._build,
            "BINPERSID": lambda: self._stack.append(Reference(self._stack.pop())),
        }

    def step(self, name: str, argument: Any) -> None:
        if name in _PUSH:
            self._push(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in self._special:
            self._special[name]()
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._remember(argument)
        elif name in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif name == "GLOBAL":
            self._global(argument.replace(" ", "."))
        elif name not in _NOTHING:
            raise PickleError(f"it uses {name}, which no file of this kind needs")

    def result(self) -> Any:
        (value,) = self._stack
        return value

    def _push(self, value: Any) -> None:
        if isinstance(value, int) and value.bit_length() > 64:
            raise PickleError("it holds a number of more than 8 bytes")
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise PickleError(f"it holds a text of more than {MAX_TEXT} characters")
        self._stack.append(value)

    def _since_mark(self) -> list[Any]:
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is _MARK:
                items = self._stack[at + 1 :]
                del self._stack[at:]
                return items
        raise PickleError("it is damaged (no mark)")

    def _pop(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise PickleError("it is damaged (nothing on the stack)")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _tuple(self, count: int) -> None:
        self._stack.append(tuple(self._pop(count)))

    def _remember(self, key: int) -> None:
        self._memo[key] = self._stack[-1]

    def _append(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise PickleError("it appends to something that is not a list")
        target.extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Call):
            target.items = {} if target.items is None else target.items
            target = target.items
        if not isinstance(target, dict) or len(items) % 2:
            raise PickleError("it sets entries of something that is not a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, (str, int)):
                raise PickleError(f"it has a key of type {type(key).__name__}")
            target[key] = value

    def _stack_global(self) -> None:
        module, name = self._pop(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleError("it is damaged (a global without a name)")
        self._global(f"{module}.{name}")

    def _global(self, name: str) -> None:
        if name not in self._allowed:
            raise PickleError(f"it names {name!r:.80}")
        self._stack.append(Global(name))

    def _reduce(self) -> None:
        function, args = self._pop(2)
        if not isinstance(function, Global) or not isinstance(args, tuple):
            raise PickleError("it calls something that is not a global")
        self._stack.append(Call(function.name, args))

    def _build(self) -> None:
        (state,) = self._pop(1)
        target = self._stack[-1]
        if not isinstance(target, Call):
            raise PickleError(f"it sets the state of a {type(target).__name__}")
        target.state = state
