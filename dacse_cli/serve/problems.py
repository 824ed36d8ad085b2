"""Errors as JSON in the form of OpenAI's API: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from typing import Any

from dacse_cli.errors import DacseError, InputError, OutputError, UsageError


class ApiError(Exception):
    """A refused request: an HTTP status, a stable code for programs, a sentence for people."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param

    def to_json(self) -> dict[str, Any]:
        """The body of the response."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        kind = "authentication_error" if self.status == 401 else kind
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def gone() -> ApiError:
    """The response for a recording that was removed while a client waited for it."""
    return ApiError(410, "removed", "the recording was removed")


def problem_of(error: Exception) -> ApiError:
    """The response to a client for a failed recording or rendering."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, DacseError):
        message = f"{error.message}. {error.hint}" if error.hint else error.message
        if isinstance(error, InputError):
            return ApiError(422, error.reason, message, param="file")
        if isinstance(error, UsageError):
            return ApiError(400, "invalid_option", message)
        if isinstance(error, OutputError):
            return ApiError(507, "cannot_write", message)
        return ApiError(500, "model_error", message)
    if isinstance(error, OSError):
        return ApiError(507, "cannot_write", f"the recording cannot be stored: {error.strerror}")
    return ApiError(500, "internal_error", f"a bug: {type(error).__name__}: {error}")
