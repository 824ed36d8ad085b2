"""One file from the Hub into a part file: continued by Range, checked by checksum.

Independent of the cache's layout. Whatever the server does, the partial file ends with exactly the expected
bytes, or a `HubError` is raised; bytes that arrived are kept for the next try, in this run or a later one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dacse_cli.errors import HubError
from dacse_cli.files.foreign import foreign_content
from dacse_cli.hub.cache.stamps import digest_like
from dacse_cli.hub.fetch.client import Answer, HubClient, Patience
from dacse_cli.hub.manifest import RemoteFile
from dacse_cli.hub.problems import Subject, TransientError, interrupted, not_the_hub


@dataclass(frozen=True)
class Transfer:
    """One transfer: source, target and expected content; `report` gets the number of bytes so far."""

    client: HubClient
    url: str
    subject: Subject
    file: RemoteFile
    part: Path
    report: Callable[[int], None]

    def run(self) -> None:
        """Fill the part file. A wrong checksum gets one more try from zero: the part may have been old."""
        for last in (False, True):
            self._fill()
            if digest_like(self.part, self.file.digest) == self.file.digest:
                return
            with self.part.open("rb") as content:
                head = content.read(512)
            self.part.unlink()
            if last:
                raise _damaged(self.subject, head)

    def _fill(self) -> None:
        patience = Patience(self.client.timeout)
        if self.part.exists() and self.part.stat().st_size > self.file.size:
            self.part.unlink()
        with self.part.open("ab") as out:
            while (here := os.fstat(out.fileno()).st_size) < self.file.size:
                try:
                    self._append(out, here, patience)
                except TransientError as error:
                    patience.rest(error)
                finally:
                    out.flush()
            os.fsync(out.fileno())

    def _append(self, out: BinaryIO, here: int, patience: Patience) -> None:
        with self.client.open(self.url, self.subject, patience, start=here) as answer:
            if here and not _continues(answer, here):
                out.truncate(0)  # the server restarts from 0, so the file does, too
                here = 0
            self._check_length(answer, self.file.size - here)
            for chunk in answer.chunks:
                here += len(chunk)
                if here > self.file.size:
                    raise not_the_hub(f"more bytes than {self.subject} has", self.client.endpoint)
                out.write(chunk)
                self.report(here)
                if not patience.reached(here):
                    raise interrupted(f"sends {self.subject} too slowly", self.client.endpoint)
        if here < self.file.size:
            raise interrupted(f"broke off in the middle of {self.subject}", self.client.endpoint)

    def _check_length(self, answer: Answer, expected: int) -> None:
        length = answer.headers.get("content-length")
        if length is None or not length.isdigit() or int(length) == expected:
            return
        page = "text/html" in answer.headers.get("content-type", "")
        what = "a web page" if page else f"{int(length):,} bytes where {expected:,} were due"
        raise not_the_hub(f"{what} for {self.subject}", self.client.endpoint)


def _continues(answer: Answer, here: int) -> bool:
    return answer.status == 206 and answer.headers.get("content-range", "").startswith(f"bytes {here}-")


def _damaged(subject: Subject, head: bytes) -> HubError:
    hint = "something in between changes the content: try another network, or later"
    foreign = foreign_content(head)
    if foreign:
        return HubError(f"{subject} arrived as {foreign[0]}", hint=hint)
    return HubError(f"{subject} arrived damaged twice: its checksum is not the Hub's", hint=hint)
