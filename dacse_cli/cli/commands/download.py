"""`dacse download`."""

from __future__ import annotations

from typing import Annotated

import typer

from dacse_cli.cli.options import run
from dacse_cli.cli.options.networks import CodecOpt
from dacse_cli.config import DEFAULT_MODEL


def download(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="A Hub id, id@revision, a local folder, or nano.")
    ] = DEFAULT_MODEL,
    codec: CodecOpt = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every byte again and compare checksums.")
    ] = False,
    json: run.JsonOpt = False,
    offline: run.OfflineOpt = False,
    quiet: run.QuietOpt = False,
) -> None:
    """Fetch a model and its codec into the local cache and print where they are.

    Only the files that are needed are fetched, and each is checked against the Hub's checksum. Afterwards
    [cyan]enhance[/] needs no network.

    [bold]Examples[/]

    dacse download

    dacse download disco-eth/DAC-SE1@main --verify
    """
    from dacse_cli.cli.render.screen import Screen
    from dacse_cli.errors import ModelError
    from dacse_cli.hub import download as fetch
    from dacse_cli.hub import verify as problems_of

    screen = Screen(json=json, quiet=quiet)
    with screen:
        fetched = fetch(model, codec=codec, offline=offline, progress=screen.download)
        found = [resolved for resolved in (fetched.model, fetched.codec) if resolved is not None]
        problems = [problem for resolved in found for problem in problems_of(resolved)] if verify else []
    for resolved in found:
        if resolved.note:
            screen.remark(resolved.note)
        screen.results.location(resolved.kind, resolved.name, resolved.revision, str(resolved.folder))
    if problems:
        raise ModelError("; ".join(problems), hint="Run `dacse download` again: it replaces damaged files.")
