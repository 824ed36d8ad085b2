"""Errors as plain data that is sent between processes, and which errors are caused by the device."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass

from dacse_cli.errors import (
    DacseError,
    DeviceError,
    InputError,
    LockedError,
    ModelError,
    OutputError,
    UsageError,
)

_REASONS: dict[type[DacseError], str] = {
    OutputError: "output",
    LockedError: "locked",
    UsageError: "options",
    DeviceError: "device",
}
"""Reason codes of errors without one of their own; all other errors count as the model's."""
_CLASSES: dict[int, type[DacseError]] = {
    kind.exit_code: kind for kind in (UsageError, ModelError, OutputError, LockedError, DeviceError)
}


@dataclass(frozen=True)
class Failure:
    """Why something did not work. `trace` is set for errors that are a bug."""

    reason: str
    message: str
    hint: str | None = None
    exit_code: int = InputError.exit_code
    trace: str | None = None

    def error(self) -> DacseError:
        """The exception to raise for this failure."""
        if self.exit_code == InputError.exit_code:
            return InputError(self.message, reason=self.reason, hint=self.hint)
        return _CLASSES.get(self.exit_code, DacseError)(self.message, hint=self.hint)


def failure_of(error: Exception) -> Failure:
    """An exception as facts; a bug keeps its traceback."""
    if isinstance(error, InputError):
        return Failure(error.reason, error.message, error.hint)
    if isinstance(error, DacseError):
        return Failure(_REASONS.get(type(error), "model"), error.message, error.hint, error.exit_code)
    trace = "".join(traceback.format_exception(error))
    return Failure("internal", f"{type(error).__name__}: {error}", trace=trace)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    torch = sys.modules.get("torch")  # torch's errors can only be raised if torch was imported
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    text = str(error)  # the CPU's allocator and Apple's devices raise no special class
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)


def is_device_lost(error: BaseException) -> bool:
    """Whether all later work on the device will fail in this process, as after a device-side assert."""
    torch = sys.modules.get("torch")
    lost = torch is not None and isinstance(error, torch.AcceleratorError)
    return bool(lost) and not is_out_of_memory(error)
