"""`dacse models`."""

from __future__ import annotations

from dacse_cli.cli.options import run


def models(json: run.JsonOpt = False) -> None:
    """List the models that are built in, in the cache, or known by name, with size and licence.

    The names in the first column are for [cyan]--model[/] and [cyan]--codec[/], which also take paths of
    your own model folders.

    [bold]Examples[/]

    dacse models

    dacse models --json
    """
    from dacse_cli.cli.render.results import printer
    from dacse_cli.hub.listing import list_models

    results = printer(json=json)
    results.models(list_models())
