"""`dacse mix`."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from dacse_cli.cli import options as opt
from dacse_cli.cli.files import recordings

_WHAT, _HOW = "What is mixed", "How it is written"


class PairFormat(str, Enum):
    """Choices of `--format`."""

    flac = "flac"
    wav = "wav"


class Grouping(str, Enum):
    """Choices of `--split-by`."""

    speaker = "speaker"
    file = "file"


class RoomModel(str, Enum):
    """Choices of `--room`."""

    auto = "auto"
    image = "image"
    decay = "decay"


def mix(
    clean: Annotated[
        list[str],
        typer.Argument(
            metavar="CLEAN...",
            show_default=False,
            help="Clean speech: files, folders (searched recursively) or patterns in quotes.",
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", show_default=False, help="A folder.")],
    noise: Annotated[
        list[str] | None,
        typer.Option("--noise", rich_help_panel=_WHAT, help="Recorded noise; may be given several times."),
    ] = None,
    rir: Annotated[
        list[str] | None,
        typer.Option(
            "--rir",
            rich_help_panel=_WHAT,
            show_default="simulated rooms",
            help="Room impulse responses; may be given several times.",
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            rich_help_panel=_WHAT,
            help="general (the published mixture), custom (the published eight tasks), extended (also codecs "
            "and clipping), one task, or shares of tasks: natural=3,reverb=1.",
        ),
    ] = "general",
    room: Annotated[
        RoomModel,
        typer.Option(
            "--room",
            rich_help_panel=_WHAT,
            help="Simulated rooms: image (with [cyan]dacse\\[mix][/]) or decay, a simple model; auto: the "
            "first if it is installed.",
        ),
    ] = RoomModel.auto,
    count: Annotated[
        int | None,
        typer.Option(
            "--count", "-n", rich_help_panel=_WHAT, show_default="one a clean file", help="Pairs, all splits."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", rich_help_panel=_WHAT, help="Long recordings are cut every so many.")
    ] = 4.0,
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", rich_help_panel=_WHAT, help="Up to here they are kept whole.")
    ] = 5.0,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="NAME=SHARE,...",
            rich_help_panel=_WHAT,
            help="Folders that share no speaker, noise or room, for example train=90,valid=5,test=5.",
        ),
    ] = None,
    split_by: Annotated[
        Grouping,
        typer.Option(
            "--split-by",
            rich_help_panel=_WHAT,
            help="speaker: the first folder below CLEAN; file: each file is its own.",
        ),
    ] = Grouping.speaker,
    seed: Annotated[
        int, typer.Option("--seed", rich_help_panel=_WHAT, help="Decides all that is drawn.")
    ] = 0,
    rate: Annotated[
        int, typer.Option("--rate", metavar="HZ", rich_help_panel=_HOW, help="Sample rate of all pairs.")
    ] = 44_100,
    pair_format: Annotated[
        PairFormat, typer.Option("--format", "-f", rich_help_panel=_HOW, help="Of the pairs, 16 bits.")
    ] = PairFormat.flac,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, rich_help_panel=_HOW, help="Processes.")] = 1,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            rich_help_panel=_HOW,
            help="One JSON object a pair on stdout, as in the manifest, then a summary object.",
        ),
    ] = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Make noisy/clean pairs for training: clean speech in, two folders and a manifest out.

    Every pair is equally long, aligned to the sample and under one gain; what was drawn for it is in
    [cyan]manifest.jsonl[/]. The same seed and recordings give the same bytes, whatever --jobs. A stopped run
    goes on where it was when the command is run again, and with a larger --count it is extended.

    [bold]Examples[/]

    dacse mix speech/ --noise noise/ pairs/

    dacse mix speech/ --noise noise/ --rir rooms/ pairs/ --recipe custom --count 22000 --jobs 8

    dacse mix speech/ --noise noise/ pairs/ --split train=90,valid=5,test=5 --seed 1

    dacse mix calls/ pairs/ --recipe codec=2,loss=1,clip=1 --rate 24000
    """
    from dacse_cli.cli.render import Screen
    from dacse_cli.training.mix_plan import MixOptions, plan_mix
    from dacse_cli.training.mix_run import MixProgress, run_mix
    from dacse_cli.training.segments import Segmenting
    from dacse_cli.training.splits import WHOLE, parse_splits

    planned = plan_mix(
        recordings(clean, output),
        recordings(noise or [], output),
        recordings(rir or [], output),
        output,
        MixOptions(
            recipe=recipe,
            rate=rate,
            lengths=Segmenting(seconds=seconds, longest=max_seconds),
            splits=parse_splits(split) if split else WHOLE,
            split_by=split_by.value,
            seed=seed,
            room=room.value,
            format=pair_format.value,
            count=count,
        ),
    )
    screen = Screen(json=json, quiet=quiet)
    for refused in planned.refused:
        screen.remark(f"passed over  {refused.path}: {refused.message}")
    if planned.too_short:
        screen.remark(f"passed over  {planned.too_short} clean recordings that are too short")

    def show(progress: MixProgress) -> None:
        screen.results.record({"type": "pair", "split": progress.split, **progress.record})
        screen.counted(progress.done, planned.count, progress.seconds, progress.elapsed)

    with screen:
        report = run_mix(planned, jobs=jobs, on_pair=show)
    screen.results.conclude(
        f"{report.written} pairs written, {report.there} were there; "
        f"{report.seconds:.0f} s of audio in {report.elapsed:.0f} s ({report.speed:.1f} x real time)",
        {"type": "summary", "out": str(output), **asdict(report), "speed": report.speed},
    )
