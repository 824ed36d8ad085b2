"""`dacse serve`."""

from __future__ import annotations

import importlib.util
import json
import sys
import webbrowser
from typing import Annotated

import typer

from dacse_cli.cli.options import run
from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.networks import Chunks, Generation
from dacse_cli.errors import UsageError

PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}
"""Module -> package that has it."""


@grouped
def serve(
    *,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=1, max=65535, show_default="8377, or any free one", help="Port."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TEXT",
            show_default="a new one each time",
            help="The token that requests must contain. Other users of this machine can read command "
            "lines: prefer the variable DACSE_TOKEN.",
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    networks: Generation,
    chunks: Chunks,
    printing: run.OutputOptions,
) -> None:
    """Serve a page and an HTTP API on this computer, with models loaded once. Needs dacse\\[serve].

    On the page: drop recordings in, listen to their first seconds in several strengths, download. Other
    programs POST audio to /v1/audio/enhance. Only this computer can connect, only with the token in the
    address; nothing is sent anywhere. Ctrl-C ends it and removes all recordings.

    [bold]Examples[/]

    dacse serve --model nano

    dacse serve --port 9000 --open

    curl -H "Authorization: Bearer $TOKEN" -F file=@talk.wav localhost:8377/v1/audio/enhance -o clean.wav
    """
    missing = [package for name, package in PACKAGES.items() if importlib.util.find_spec(name) is None]
    if missing:
        *others, last = missing
        names = f"{', '.join(others)} and {last}" if others else last
        raise UsageError(f"dacse serve needs {names}", hint="Install the extra: pip install 'dacse[serve]'")
    from dacse_cli.api.finding import find_enhancer
    from dacse_cli.serve.server import run as run_server

    screen = printing.screen()
    with screen:
        models = networks.options(printing.offline, printing.remark)
        load = find_enhancer(models, chunks.options(), screen.download)

    def opened(address: str, token: str) -> None:
        text = json.dumps({"address": address, "token": token}) if printing.json else address
        typer.echo(text)
        sys.stdout.flush()
        if browser:
            webbrowser.open(address)

    run_server(load, models.model, opened, port=port, token=token)
