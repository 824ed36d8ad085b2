"""`dacse enhance`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dacse_cli.cli.options import run
from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.networks import Chunks, Generation
from dacse_cli.cli.options.sound import Sound

PathsArg = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT... [OUTPUT]",
        show_default=False,
        help="Files, folders, patterns in quotes, URLs, or - for a pipe. The last one is the output, "
        "unless only one file is given, or --output.",
    ),
]
OutputOpt = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        show_default="talk.enhanced.wav beside talk.wav",
        help="A folder, a file, or a pattern ({stem}_clean.{ext}).",
    ),
]
RayOpt = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        show_default=False,
        rich_help_panel="Run",
        help="Work on a Ray cluster: its address; auto: the cluster of this machine; local: start one here.",
    ),
]
ReportOpt = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="DIR",
        show_default=False,
        rich_help_panel="Run",
        help="Write a page to see and hear the result. It is index.html; report.jsonl is for scripts.",
    ),
]


@grouped
def enhance(
    paths: PathsArg,
    *,
    output: OutputOpt = None,
    networks: Generation,
    chunks: Chunks,
    sound: Sound,
    batch: run.Batch,
    keep_mtime: run.KeepMtimeOpt = False,
    strict: run.StrictOpt = False,
    shard: run.ShardOpt = None,
    ray: RayOpt = None,
    report: ReportOpt = None,
    printing: run.OutputOptions,
) -> None:
    """Enhance noisy speech: audio or token files in, enhanced ones out.

    The output has the input's name, length, sample rate and channels. A stopped run continues when the
    command is run again: finished files are skipped. Of unfinished files, a model that generates speech
    reuses the finished chunks; a filter starts them again.

    [bold]Examples[/]

    dacse enhance talk.wav

    dacse enhance in/ out/ --report report/      and then open report/index.html

    dacse enhance "takes/**/*.wav" out/ --strength gentle --format flac

    dacse enhance talk.wav clean.flac --model nano

    cat talk.wav | dacse enhance - - > clean.wav

    dacse enhance in/ out/ --limit 5 --dry-run

    dacse enhance s3://bucket/in s3://bucket/out

    dacse enhance talks/ out/ --preset podcast --keep-mtime
    """
    from dacse_cli.cli.batch.launch import launch
    from dacse_cli.cli.batch.outputs import split
    from dacse_cli.pipeline.request.shards import parse_shard

    options, notes = sound.options(printing.remark), list[str]()
    inputs, target = split(paths, output)
    request = batch.request(
        "enhance",
        inputs,
        target,
        networks.options(printing.offline, notes.append),
        chunk=chunks.options(),
        sound=options,
        strict=strict,
        keep_mtime=keep_mtime,
        shard=parse_shard(shard) if shard else None,
    )
    launch(request, printing, dry_run=batch.dry_run, report=report, ray=ray, notes=notes)
