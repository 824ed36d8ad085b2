"""Starts the server, and cleans up when it ends."""

from __future__ import annotations

import errno
import os
import re
import secrets
import socket
import sys
from collections.abc import Callable

from dacse_cli.errors import DacseError, UsageError
from dacse_cli.serve.app import make_app
from dacse_cli.serve.recordings import Shelf
from dacse_cli.serve.uploads import MOST_BYTES
from dacse_cli.serve.worker import Models, Worker
from dacse_cli.serve.workspace import Workspace

LOOPBACK = "127.0.0.1"
PORT = 8377
_TOKEN = re.compile(r"[A-Za-z0-9_\-]{16,200}")
_LEAVE_SECONDS = 3
"""Seconds for unfinished responses when the server is stopped."""


def run(
    load: Callable[[], Models],
    model: str,
    on_open: Callable[[str, str], None],
    *,
    port: int | None = None,
    token: str | None = None,
    most_bytes: int = MOST_BYTES,
) -> None:
    """Serve until a signal arrives. `load` loads the models in another thread while the page is available.

    `on_open(address, token)` is called once the server listens. Raises `UsageError` for a port in use or an
    invalid token, and what `load` raises.
    """
    token = token or secrets.token_urlsafe(24)
    if not _TOKEN.fullmatch(token):
        raise UsageError("`token`, or DACSE_TOKEN, takes 16 to 200 letters, digits, - and _")
    listening = listen(port)
    with listening, Workspace() as workspace:
        shelf = Shelf(workspace.folder)
        worker = Worker(shelf, load)
        try:
            _serve(listening, shelf, worker, model, on_open, token, most_bytes)
        except SystemExit as stop:  # a signal
            shelf.close()
            worker.join(_LEAVE_SECONDS)
            if worker.is_alive():  # a thread that runs torch code makes the interpreter abort at exit
                workspace.remove()
                sys.stdout.flush()
                os._exit(stop.code if isinstance(stop.code, int) else 1)
            raise
        finally:
            shelf.close()
    if isinstance(worker.error, DacseError):
        raise worker.error
    if worker.error is not None:
        raise RuntimeError("the models could not be loaded") from worker.error


def _serve(
    listening: socket.socket,
    shelf: Shelf,
    worker: Worker,
    model: str,
    on_open: Callable[[str, str], None],
    token: str,
    most_bytes: int,
) -> None:
    """Serve until a signal arrives, or until loading the models has failed."""
    import uvicorn

    number = listening.getsockname()[1]
    app = make_app(shelf, worker, model, port=number, token=token, most_bytes=most_bytes)
    config = uvicorn.Config(
        app,
        access_log=False,  # addresses hold the token
        log_level="error",
        server_header=False,
        lifespan="off",
        ws="none",
        limit_concurrency=64,
        timeout_graceful_shutdown=_LEAVE_SECONDS,
    )
    server = uvicorn.Server(config)

    def leave() -> None:
        server.should_exit = True

    worker.on_error = leave
    worker.start()
    on_open(f"http://{LOOPBACK}:{number}/?token={token}", token)
    server.run(sockets=[listening])


def listen(port: int | None) -> socket.socket:
    """A socket on the loopback address, at `port`; without one at `PORT`, or at any free port."""
    choices = (PORT, 0) if port is None else (port,)
    for choice in choices:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, choice))
            listening.listen(64)
            return listening
        except OSError as error:
            listening.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    raise UsageError(f"port {port} is in use or not permitted", hint="Leave `port` out, or give another.")
