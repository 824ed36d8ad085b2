"""Errors of requests to the Hub, as `HubError`s with facts and a next step.

Messages are made from status codes and reasons only, never from a request: its headers hold the token
and a redirected address may hold a signature.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar

from dacse_cli.errors import HubError
from dacse_cli.files.problems import reason
from dacse_cli.hub.names import HubName, guess

LOGIN = "log in with `hf auth login` (or set HF_TOKEN)"


class TransientError(HubError):
    """The Hub gave no usable answer now, but may later; `retry_after` is its requested delay in seconds."""

    def __init__(self, message: str, *, hint: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class HubSpaceError(HubError):
    """The model does not fit on the disk: an unwritable place, so its exit code is that of `OutputError`."""

    exit_code: ClassVar[int] = 6


@dataclass(frozen=True)
class Subject:
    """The subject of a request, for the message when it is refused."""

    name: HubName
    endpoint: str
    file: str | None = None

    @property
    def page(self) -> str:
        """Address of the repository's web page."""
        return f"{self.endpoint}/{self.name.repo}"

    def __str__(self) -> str:
        return f"{self.file} of {self.name}" if self.file else str(self.name)


def refusal(status: int, headers: Mapping[str, str], subject: Subject) -> HubError:
    """The error for an HTTP status other than success."""
    code = headers.get("x-error-code", "")
    repo = subject.name.repo
    if code == "GatedRepo":
        return HubError(
            f"{repo} is gated: its owner wants its terms accepted first",
            hint=f"accept them on {subject.page}, then {LOGIN}",
        )
    if status == HTTPStatus.UNAUTHORIZED and "Invalid credentials" in headers.get("x-error-message", ""):
        return HubError(
            f"the Hub refuses the access token (asked for {subject})",
            hint="the token is wrong or expired: run `hf auth login` again, or unset HF_TOKEN",
        )
    if status == HTTPStatus.UNAUTHORIZED:
        return HubError(
            f"{repo} is private or does not exist: the Hub answers 401",
            hint=f"check the spelling on {subject.page}; for a private model {LOGIN}",
        )
    if status == HTTPStatus.FORBIDDEN:
        return HubError(
            f"no permission to read {subject}: the Hub answers 403",
            hint=f"ask for access on {subject.page}, then {LOGIN}",
        )
    if status == HTTPStatus.NOT_FOUND:
        return _missing(code, subject)
    if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or status >= 500:
        return _busy(status, headers, subject)
    return HubError(f"the Hub answers {status} for {subject}", hint=f"look at {subject.page}")


def _missing(code: str, subject: Subject) -> HubError:
    name = subject.name
    if code == "RevisionNotFound":
        return HubError(
            f"{name.repo} has no revision {name.revision}",
            hint=f"branches, tags and commits are listed on {subject.page}/commits/main",
        )
    if code == "EntryNotFound" or subject.file:
        return HubError(
            f"{name.repo} has no file {subject.file} at {name.revision}",
            hint=f"the repository may have changed meanwhile: see {subject.page}/tree/{name.revision}",
        )
    hint = guess(name.repo) or f"check the spelling on {subject.page}"
    return HubError(f"there is no model {name.repo} on the Hub", hint=hint)


def _busy(status: int, headers: Mapping[str, str], subject: Subject) -> TransientError:
    wish = headers.get("retry-after", "")
    seconds = float(wish) if wish.isdigit() else None
    wait = f" and asks to wait {seconds:.0f} s" if seconds else ""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        message = f"the Hub is refusing requests from here for a while (429){wait}: {subject}"
        return TransientError(message, hint=f"wait, or {LOGIN} for a higher limit", retry_after=seconds)
    message = f"the Hub answers {status}{wait}: {subject}"
    return TransientError(message, hint="try again later; what has arrived is kept", retry_after=seconds)


def unreachable(error: Exception, endpoint: str) -> TransientError:
    """The error for a connection that failed, stayed silent or broke off."""
    kind, reason = type(error).__name__, str(error)
    hint = (
        "check the network (and HTTPS_PROXY, if one is needed), then run the same command again; "
        '`model="nano"` needs no network'
    )
    if "Timeout" in kind:
        return TransientError(f"{endpoint} does not answer", hint=hint)
    if "CERTIFICATE" in reason or "SSL" in reason or "TLS" in reason:
        hint = "a proxy may be re-signing the traffic: point SSL_CERT_FILE at its certificate"
        return TransientError(f"no secure connection to {endpoint} (certificate not trusted)", hint=hint)
    if kind == "ConnectError":
        return TransientError(f"cannot reach {endpoint} ({reason})", hint=hint)
    return TransientError(f"the connection to {endpoint} broke off ({kind})", hint=hint)


def interrupted(what: str, endpoint: str) -> TransientError:
    """The error for a file that stops arriving before its end."""
    return TransientError(f"{endpoint} {what}", hint="run the same command again: what has arrived is kept")


def not_the_hub(what: str, endpoint: str) -> TransientError:
    """The error for an answer that is not from a Hub, such as the login page of a guest network."""
    return TransientError(
        f"{endpoint} sent {what}",
        hint="a proxy or a network login page may be in between: open the address in a browser",
    )


def disk_problem(error: OSError, cache: Path) -> HubError:
    """The error for a cache that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HubSpaceError(f"no space left for the model in {cache}", hint=f"free some, {_elsewhere()}")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return HubError(f"the model cache {cache} is read-only", hint=f"make it writable, {_elsewhere()}")
    return HubError(
        f"the model cache {cache} cannot be used: {reason(error)}", hint=f"repair it, {_elsewhere()}"
    )


def no_room(needed: int, free: int, cache: Path) -> HubSpaceError:
    """The error for a download that would not fit, found before it starts. Bytes."""
    message = f"the model needs {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free in {cache}"
    return HubSpaceError(message, hint=f"free some, {_elsewhere()}")


def _elsewhere() -> str:
    return "or set HF_HOME to a folder with room that can be written"
