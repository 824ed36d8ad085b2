"""What became of a piece of work that did not end well, as facts; and which errors are the device's fault."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from dacse_cli.errors import (
    CheckpointError,
    CodecError,
    DacseError,
    DeviceError,
    InputError,
    LockedError,
    ModelError,
    OutputError,
    UsageError,
)
from dacse_cli.pipeline.wire.process import Message

_REASONS = {OutputError: "output", LockedError: "locked", UsageError: "options"}
"""What is not the model's fault among errors other than `InputError`."""
_FATAL = {cls.__name__: cls for cls in (ModelError, CheckpointError, CodecError, DeviceError)}


@dataclass(frozen=True)
class Failure:
    """Why one task did not finish. `trace` is set for errors nobody foresaw."""

    reason: str
    message: str
    hint: str | None = None
    exit_code: int = 3
    trace: str | None = None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    says = str(error)  # the CPU's allocator and Apple's devices have no class for it
    return isinstance(error, RuntimeError) and ("can't allocate memory" in says or "out of memory" in says)


def is_device_lost(error: BaseException) -> bool:
    """Whether the device will refuse all that follows in this process, as after a failed assert on it."""
    import torch

    return isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)


def failure_of(error: Exception) -> Failure:
    """An exception as facts for the report; what nobody foresaw keeps its traceback.

    Raises `DeviceError` where it is not this input that failed but the device under all of them.
    """
    if is_device_lost(error):
        raise DeviceError(f"the device failed: {str(error).splitlines()[0]}") from error
    if isinstance(error, InputError):
        return Failure(error.reason, error.message, error.hint)
    if isinstance(error, DacseError):
        return Failure(_REASONS.get(type(error), "model"), error.message, error.hint, error.exit_code)
    if is_out_of_memory(error):
        return Failure("out-of-memory", "memory ran out with a single chunk", "Try a shorter --chunk.")
    trace = "".join(traceback.format_exception(error))
    return Failure("internal", f"{type(error).__name__}: {error}", trace=trace)


def fatal_message(error: DacseError) -> Message:
    """How a child tells the supervisor that it can do no input at all."""
    return {"type": "fatal", "error": type(error).__name__, "message": error.message, "hint": error.hint}


def fatal_error(message: Message) -> DacseError:
    """What `fatal_message` told."""
    return _FATAL.get(message["error"], DeviceError)(message["message"], hint=message["hint"])
