"""Requests to the Hub: what a repository holds, and bytes of a file; with bounded waiting.

Does not access the disk. The session (proxies, certificates) and the token are those of huggingface_hub. Its
downloader is not used: it neither resumes across runs nor compares checksums.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from dacse_cli import __version__
from dacse_cli.errors import HubError
from dacse_cli.files.documents import Limits, parse_json
from dacse_cli.hub.manifest import Repository, parse_repository
from dacse_cli.hub.names import HubName
from dacse_cli.hub.problems import Subject, TransientError, not_the_hub, refusal, unreachable

DEFAULT_ENDPOINT = "https://huggingface.co"
DEFAULT_TIMEOUT = 30.0
MAX_TRIES = 4
FIRST_PAUSE = 0.1
LISTING_LIMIT = 32 << 20
_LISTING = Limits(size=LISTING_LIMIT)
SILENCE = 10.0
"""Seconds without a byte after which one request is given up and the next one tried."""
PULSE = 64 << 10
"""Fewer new bytes than this within a timeout count as none."""


class Patience:
    """Bounds a wait: `seconds` without progress, or `MAX_TRIES` failures without new bytes."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._pulse = 0
        self._furthest = 0
        self._failures = 0
        self._deadline = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that may still pass without progress."""
        return self._deadline - time.monotonic()

    @property
    def request_timeout(self) -> float:
        """Seconds one request may stay silent."""
        return max(0.05, min(SILENCE, self.left))

    def reached(self, position: int) -> bool:
        """Note that the bytes up to `position` have arrived; False when they arrive too slowly to continue.

        Any bytes extend the deadline, but only new bytes reset the failure count: otherwise a server that
        restarts at 0 each time would be retried for ever.
        """
        if abs(position - self._pulse) >= PULSE:
            self._pulse = position
            self._deadline = time.monotonic() + self.seconds
        if position >= self._furthest + PULSE:
            self._furthest = position
            self._failures = 0
        return self.left > 0

    def rest(self, error: TransientError) -> None:
        """Sleep before the next try, or raise `error` when a bound is reached."""
        self._failures += 1
        pause = error.retry_after or FIRST_PAUSE * 4 ** (self._failures - 1)
        if self._failures >= MAX_TRIES or pause >= self.left:
            raise error
        time.sleep(pause)


@dataclass(frozen=True)
class Answer:
    """A successful response whose body is still to be read."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


def endpoint_from_environment() -> str:
    """The Hub's address, read at call time: huggingface_hub's constant is frozen at its import."""
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    if urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).netloc:
        raise HubError(
            f"HF_ENDPOINT is not a web address: {endpoint}", hint="unset it, or start it with https://"
        )
    return endpoint


class HubClient:
    """One Hub, for one download. Raises `HubError`; `TransientError` where trying later may help."""

    def __init__(self, timeout: float = DEFAULT_TIMEOUT) -> None:
        from huggingface_hub import constants, get_token

        self.endpoint = endpoint_from_environment()
        self.timeout = timeout
        # not huggingface_hub's headers: to fill them it asks the Hub which coding agents there are
        # identity: lengths and ranges must mean the file's own bytes
        self._headers = {"user-agent": f"dacse/{__version__}", "accept-encoding": "identity"}
        token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
        if token is not None:
            self._headers["authorization"] = f"Bearer {token}"

    def repository(self, name: HubName) -> Repository:
        """The commit of a revision, and its files with size and checksum."""
        patience = Patience(self.timeout)
        while True:
            try:
                return parse_repository(self._listing(name, patience))
            except TransientError as error:
                patience.rest(error)
            except (KeyError, TypeError, ValueError) as error:
                raise not_the_hub("something else than a list of files", self.endpoint) from error

    def _listing(self, name: HubName, patience: Patience) -> Any:
        url = f"{self.endpoint}/api/models/{name.repo}/revision/{quote(name.revision, safe='')}?blobs=true"
        body = bytearray()
        with self.open(url, Subject(name, self.endpoint), patience) as answer:
            for chunk in answer.chunks:
                body += chunk
                if len(body) > LISTING_LIMIT or not patience.reached(len(body)):
                    raise not_the_hub("an endless list of files", self.endpoint)
        return parse_json(bytes(body), _LISTING)

    def file_url(self, name: HubName, commit: str, path: str) -> str:
        """URL of the content of one file."""
        return f"{self.endpoint}/{name.repo}/resolve/{commit}/{quote(path)}"

    @contextmanager
    def open(self, url: str, subject: Subject, patience: Patience, *, start: int = 0) -> Iterator[Answer]:
        """GET `url` from byte `start`; failures while the body is read are translated too."""
        from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled  # type: ignore[attr-defined]
        from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

        headers = {**self._headers, "range": f"bytes={start}-"} if start else self._headers
        options: dict[str, Any] = {"timeout": patience.request_timeout, "follow_redirects": True}
        try:
            with get_session().stream("GET", url, headers=headers, **options) as response:
                if response.status_code not in (200, 206):
                    raise refusal(response.status_code, response.headers, subject)
                yield Answer(response.status_code, response.headers, response.iter_raw())
        except OfflineModeIsEnabled as error:
            message = f"{subject} needs the network, but HF_HUB_OFFLINE is set"
            raise HubError(message, hint="unset it for this one command") from error
        except HTTPError as error:
            raise unreachable(error, self.endpoint) from error
