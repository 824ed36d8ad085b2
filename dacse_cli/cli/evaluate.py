"""`dacse evaluate`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from dacse_cli.cli import options as opt
from dacse_cli.errors import InputError


class PublishedTable(str, Enum):
    """Choices of `--published`."""

    hifitts2 = "hifitts2"


def evaluate(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="[CLEAN] ENHANCED...",
            show_default=False,
            help="The clean recordings, then a folder or file a system; with --no-reference only systems.",
        ),
    ],
    noisy: Annotated[
        Path | None, typer.Option("--noisy", help="The unprocessed recordings, to compare with.")
    ] = None,
    no_reference: Annotated[
        bool,
        typer.Option("--no-reference", help="No clean ones: only metrics that need none."),
    ] = False,
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", show_default="all that can be had", help="Names, separated by commas."),
    ] = None,
    asr: Annotated[
        str | None, typer.Option("--asr", help="Whisper for word errors: a CTranslate2 folder, or a size.")
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="Language spoken, as Whisper names it.")
    ] = None,
    wavlm: Annotated[
        str | None, typer.Option("--wavlm", help="Folder of a WavLM model, for SpeechBERTScore.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap behind the intervals.")] = 0,
    published: Annotated[
        PublishedTable | None, typer.Option("--published", help="Print a paper's own rows below.")
    ] = None,
    same_set: Annotated[
        bool, typer.Option("--same-set", help="The recordings are those of the published table.")
    ] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the scores of every file there.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object on stdout.")] = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Score enhanced speech: DNSMOS, PESQ, STOI, SI-SDR, word error, speaker similarity and more.

    Recordings belong together by their path below their folder, whatever the suffix. Prints a table of
    means with 95 % confidence intervals. The metrics come with [cyan]dacse\\[evaluate][/]; a missing one is
    named.

    [bold]Examples[/]

    dacse evaluate clean/ enhanced/ --noisy noisy/

    dacse evaluate clean/ nano/ other-tool/ --noisy noisy/ --csv scores.csv

    dacse evaluate --no-reference enhanced/ --noisy noisy/
    """
    from dacse_cli.audio.atomic import write_bytes_atomically
    from dacse_cli.cli.render import Screen
    from dacse_cli.evaluation import run, tables
    from dacse_cli.evaluation.metric import ScoringOptions

    clean, systems = (None, recordings) if no_reference else (recordings[0], recordings[1:])
    screen = Screen(json=json, quiet=quiet)
    report = run.evaluate(
        clean,
        systems,
        noisy,
        metrics=metrics.split(",") if metrics else None,
        options=ScoringOptions(asr=asr, language=language, wavlm=wavlm, seed=seed),
        jobs=jobs,
        on_file=lambda scores: screen.scored(scores.system, scores.key),
    )
    if csv is not None:
        write_bytes_atomically(csv, tables.to_csv(report).encode())
    screen.results.print(
        tables.to_json(report)
        if json
        else tables.to_markdown(report, published=published and published.value, same_set=same_set)
    )
    if report.failures:
        names = ", ".join(f"{scores.system}/{scores.key}" for scores in report.failures[:3])
        raise InputError(
            f"{len(report.failures)} recordings could not be scored: {names}", reason="not-scored"
        )
