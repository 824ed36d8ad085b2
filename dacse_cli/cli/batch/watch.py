"""`dacse watch`."""

from __future__ import annotations

from typing import Annotated

import typer

from dacse_cli.cli.options import run
from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.networks import Chunks, Generation
from dacse_cli.cli.options.sound import Sound

EveryOpt = Annotated[
    float,
    typer.Option("--every", min=0.1, metavar="SECONDS", help="Seconds between two checks of the folder."),
]
SettledOpt = Annotated[
    float,
    typer.Option(
        "--settled",
        min=0,
        metavar="SECONDS",
        help="Enhance files unchanged for this long.",
    ),
]


@grouped
def watch(
    folder: Annotated[str, typer.Argument(metavar="IN", show_default=False, help="The folder to watch.")],
    output: Annotated[str, typer.Argument(metavar="OUT", show_default=False, help="A folder.")],
    *,
    every: EveryOpt = 2.0,
    settled: SettledOpt = 5.0,
    networks: Generation,
    chunks: Chunks,
    sound: Sound,
    filters: run.FilterOpt = None,
    keep_mtime: run.KeepMtimeOpt = False,
    strict: run.StrictOpt = False,
    printing: run.OutputOptions,
) -> None:
    """Enhance files that appear in a folder, until Ctrl-C.

    New files are enhanced as by [cyan]dacse enhance IN OUT[/], once they have not changed for a while:
    finished ones are skipped, sub-folders are kept. The models are loaded again for each group of new files.

    [bold]Examples[/]

    dacse watch inbox/ clean/

    dacse watch inbox/ clean/ --model nano --settled 30 --json
    """
    from pathlib import Path

    from dacse_cli.cli.batch.launch import say_how_to_go_on
    from dacse_cli.errors import UsageError
    from dacse_cli.pipeline.request.request import Request
    from dacse_cli.pipeline.run import watch as watching
    from dacse_cli.pipeline.run.run import run as enhance
    from dacse_cli.pipeline.wire.outcome import Summary
    from dacse_cli.store.urls import as_local

    if not Path(folder).is_dir():
        raise UsageError(f"{folder} is not a folder", hint="Create it first; files can be added later.")
    notes: list[str] = []
    request = (
        run.Batch(filters)
        .request(
            "enhance",
            [folder],
            as_local(output),
            networks.options(printing.offline, notes.append),
            chunk=chunks.options(),
            sound=sound.options(printing.remark),
            strict=strict,
            keep_mtime=keep_mtime,
        )
        .check()
    )
    screen = printing.screen()
    for note in notes:
        printing.remark(note)
    screen.remark(f"watching {folder}; stop with Ctrl-C")

    def one_run(todo: Request) -> Summary:
        with printing.screen() as moving:
            return enhance(todo, moving.tell, moving.download)

    runs = watching.watch(request, one_run, screen.remark, every=every, settled=settled)
    for summary in runs:
        screen.summary(summary)
        say_how_to_go_on(request, summary, screen)
        if summary.problem is not None or summary.stopped_by is not None:
            raise typer.Exit(summary.exit_code)
