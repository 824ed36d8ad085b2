"""`dacse mix`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dacse_cli.cli.files import recordings
from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.run import QuietOpt

if TYPE_CHECKING:
    from dacse_cli.training.mix.plan import MixOptions

_what = partial(typer.Option, rich_help_panel="What is mixed")
_how = partial(typer.Option, rich_help_panel="How it is written")


@dataclass(frozen=True)
class Mixture:
    """What is mixed, from which recordings, and how it is written."""

    noise: Annotated[list[str] | None, _what("--noise", help="Recorded noise; can be repeated.")] = None
    rir: Annotated[
        list[str] | None,
        _what(
            "--rir",
            show_default="simulated rooms",
            help="Room impulse responses; can be repeated.",
        ),
    ] = None
    recipe: Annotated[
        str,
        _what(
            "--recipe",
            help="What is mixed: general, custom, extended; also filter, a task, or shares: "
            "natural=3,reverb=1. general is the published mixture, custom has the published eight tasks, "
            "extended also codecs and clipping.",
        ),
    ] = "general"
    room: Annotated[
        Literal["auto", "image", "decay"],
        _what(
            "--room",
            help="Simulated rooms: image (needs [cyan]dacse\\[mix][/]) or decay, a simple model; auto: image "
            "if it is installed.",
        ),
    ] = "auto"
    count: Annotated[
        int | None,
        _what("--count", "-n", show_default="one per clean file", help="Number of pairs, over all splits."),
    ] = None
    seconds: Annotated[
        float, _what("--seconds", help="Length of the pieces into which longer recordings are cut.")
    ] = 4.0
    max_seconds: Annotated[
        float, _what("--max-seconds", help="Recordings of up to this many seconds are kept whole.")
    ] = 5.0
    split: Annotated[
        str | None,
        _what(
            "--split",
            metavar="NAME=SHARE,...",
            help="Folders that share no speaker, noise or room; for example train=90,valid=5,test=5.",
        ),
    ] = None
    split_by: Annotated[
        Literal["speaker", "file"],
        _what("--split-by", help="A speaker is the first folder below CLEAN (speaker) or each file (file)."),
    ] = "speaker"
    seed: Annotated[int, _what("--seed", help="Seed of all random choices.")] = 0
    rate: Annotated[int, _how("--rate", metavar="HZ", help="Sample rate of all pairs.")] = 44_100
    pair_format: Annotated[
        Literal["flac", "wav"],
        _how("--format", "-f", help="Format of the pairs, with 16 bits."),
    ] = "flac"

    def options(self) -> MixOptions:
        """For the library. Raises `UsageError`."""
        from dacse_cli.training.mix.plan import MixOptions
        from dacse_cli.training.sound.segments import Segmenting
        from dacse_cli.training.sound.splits import WHOLE, parse_splits

        return MixOptions(
            recipe=self.recipe,
            rate=self.rate,
            lengths=Segmenting(seconds=self.seconds, longest=self.max_seconds),
            splits=parse_splits(self.split) if self.split else WHOLE,
            split_by=self.split_by,
            seed=self.seed,
            room=self.room,
            format=self.pair_format,
            count=self.count,
        )


@grouped
def mix(
    clean: Annotated[
        list[str],
        typer.Argument(
            metavar="CLEAN...",
            show_default=False,
            help="Clean speech: files, folders (searched recursively); patterns in quotes.",
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", show_default=False, help="A folder.")],
    mixture: Mixture,
    jobs: Annotated[int, _how("--jobs", "-j", min=1, help="Number of processes.")] = 1,
    json: Annotated[
        bool,
        _how(
            "--json", help="JSON on standard output: one object per pair, as in the manifest, then a summary."
        ),
    ] = False,
    quiet: QuietOpt = False,
) -> None:
    """Make noisy/clean pairs for training: clean speech in, two folders and a manifest out.

    Both sides of a pair have the same length and gain and are aligned to the sample; its random choices are
    in [cyan]manifest.jsonl[/]. The same seed and recordings give the same bytes, with any --jobs. A stopped
    run continues when the command is run again; a larger --count extends a finished one.

    [bold]Examples[/]

    dacse mix speech/ --noise noise/ pairs/

    dacse mix speech/ --noise noise/ --rir rooms/ pairs/ --recipe custom --count 22000 --jobs 8

    dacse mix speech/ --noise noise/ pairs/ --split train=90,valid=5,test=5 --seed 1

    dacse mix calls/ pairs/ --recipe codec=2,loss=1,clip=1 --rate 24000
    """
    from dacse_cli.cli.render.screen import Screen
    from dacse_cli.training.mix.plan import plan_mix
    from dacse_cli.training.mix.run import MixProgress, run_mix

    speech, noise, rooms = (recordings(names or [], output) for names in (clean, mixture.noise, mixture.rir))
    planned = plan_mix(speech, noise, rooms, output, mixture.options())
    screen = Screen(json=json, quiet=quiet)
    for refused in planned.refused:
        screen.remark(str(refused))
    if planned.too_short:
        screen.remark(f"skipped  {planned.too_short} clean recordings that are too short")

    def show(progress: MixProgress) -> None:
        screen.results.record({"type": "pair", "split": progress.split, **progress.record})
        screen.counted(progress.done, planned.count, progress.seconds, progress.elapsed)

    with screen:
        report = run_mix(planned, jobs=jobs, on_pair=show)
    screen.results.conclude(
        f"{report.written} pairs written, {report.there} existed already; "
        f"{report.seconds:.0f} s of audio in {report.elapsed:.0f} s ({report.speed:.1f} x real time)",
        {"type": "summary", "out": str(output), **asdict(report), "speed": report.speed},
    )
