"""A Hub on 127.0.0.1 that misbehaves on request: one model repository, the two routes dacse uses."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT = "a1" * 20
REPO = "some-org/some-model"
TOKEN = "hf_secretsecretsecretsecretsecret"
PAGE = b"<!DOCTYPE html><html><body>Welcome to the hotel network</body></html>"


@dataclass
class Refusal:
    """An HTTP error with the header by which the Hub says what it means."""

    status: int
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeHub:
    """What is served and how it goes wrong; change the fields between requests."""

    files: dict[str, bytes]
    repo: str = REPO
    commit: str = COMMIT
    others: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Files of further repositories, of the same commit."""
    refuse_listing: Refusal | None = None
    refuse_file: Refusal | None = None
    refusals_left: int = 1_000_000
    cut_after: int | None = None
    """Bytes of a body after which the connection is cut, each time."""
    ignore_range: bool = False
    flipped: set[str] = field(default_factory=set)
    """Files served with one byte changed."""
    html: str = ""
    """"listing" or "files": what is answered with a web page; "padded" keeps the file's length."""
    silent: bool = False
    """Take requests and say nothing."""
    drip: float = 0.0
    """Seconds between single bytes of a file."""
    redirect_to: str | None = None
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    """(path, Range, Authorization) of each request."""
    sent: int = 0
    """Bytes of file content sent."""
    endpoint: str = ""

    def file_requests(self) -> list[str]:
        return [path.rsplit("/", 1)[1] for path, _, _ in self.requests if "/resolve/" in path]

    def files_of(self, path: str) -> dict[str, bytes]:
        """What the repository in a request's path holds."""
        return next((files for repo, files in self.others.items() if f"/{repo}/" in path), self.files)

    def listing(self, path: str = "") -> dict[str, Any]:
        entries = [self._entry(name, data) for name, data in self.files_of(path).items()]
        return {"id": self.repo, "sha": self.commit, "siblings": entries}

    def _entry(self, path: str, data: bytes) -> dict[str, Any]:
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        entry: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": blob}
        if path.endswith((".safetensors", ".bin", ".pt")):
            entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return entry

    def body_of(self, path: str, data: bytes) -> bytes:
        if self.html == "files":
            return PAGE
        if self.html == "padded":
            return (PAGE * (len(data) // len(PAGE) + 1))[: len(data)]
        if path in self.flipped:
            middle = len(data) // 2
            return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        return data


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub
    stopping: threading.Event

    def log_message(self, *args: object) -> None:
        return

    def do_GET(self) -> None:
        hub = self.hub
        hub.requests.append(
            (unquote(self.path), self.headers.get("Range"), self.headers.get("Authorization"))
        )
        if hub.silent:
            self.stopping.wait(20)
            self.close_connection = True
        elif any(self.path.startswith(f"/api/models/{repo}/revision/") for repo in (hub.repo, *hub.others)):
            self._listing()
        elif "/resolve/" in self.path:
            self._file(unquote(self.path.split("/resolve/", 1)[1].split("/", 1)[1]))
        else:
            self._refuse(Refusal(404, "RepoNotFound"))

    def _listing(self) -> None:
        if self.hub.refuse_listing and self._still_refusing():
            self._refuse(self.hub.refuse_listing)
        elif self.hub.html == "listing":
            self._send(200, PAGE, {"Content-Type": "text/html"})
        else:
            self._send(
                200, json.dumps(self.hub.listing(self.path)).encode(), {"Content-Type": "application/json"}
            )

    def _file(self, path: str) -> None:
        hub, files = self.hub, self.hub.files_of(self.path)
        if hub.redirect_to:
            self._send(302, b"", {"Location": hub.redirect_to + self.path})
        elif hub.refuse_file and self._still_refusing():
            self._refuse(hub.refuse_file)
        elif path not in files:
            self._refuse(Refusal(404, "EntryNotFound"))
        else:
            self._content(hub.body_of(path, files[path]))

    def _content(self, data: bytes) -> None:
        start, wanted = 0, self.headers.get("Range")
        headers = {"Content-Type": "text/html" if self.hub.html else "application/octet-stream"}
        if wanted and not self.hub.ignore_range:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._send(206 if "Content-Range" in headers else 200, data[start:], headers, is_content=True)

    def _still_refusing(self) -> bool:
        self.hub.refusals_left -= 1
        return self.hub.refusals_left >= 0

    def _refuse(self, refusal: Refusal) -> None:
        self._send(refusal.status, b"no", {"X-Error-Code": refusal.code, **refusal.headers})

    def _send(self, status: int, body: bytes, headers: dict[str, str], is_content: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        cut = self.hub.cut_after if is_content else None
        try:
            for piece in self._pieces(body[:cut], is_content):
                self.hub.sent += len(piece) if is_content else 0  # before the client can have it and go on
                self.wfile.write(piece)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        if cut is not None and cut < len(body):
            self.close_connection = True

    def _pieces(self, body: bytes, is_content: bool) -> Iterator[bytes]:
        if not (self.hub.drip and is_content):
            yield body
            return
        for position in range(len(body)):
            if self.stopping.is_set():
                return
            time.sleep(self.hub.drip)
            yield body[position : position + 1]


@contextmanager
def serve(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve `hub` in a thread; sets its `endpoint`."""
    stopping = threading.Event()
    handler = type("Handler", (_Handler,), {"hub": hub, "stopping": stopping})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
