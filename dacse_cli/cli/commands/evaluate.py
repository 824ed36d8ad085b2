"""`dacse evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.run import QuietOpt

if TYPE_CHECKING:
    from dacse_cli.evaluation.metric import ScoringOptions
    from dacse_cli.evaluation.report import Report


@dataclass(frozen=True)
class Scores:
    """Which metrics, and the models and the seed for them."""

    metrics: Annotated[
        str | None,
        typer.Option("--metrics", show_default="all that are installed", help="Names, separated by commas."),
    ] = None
    asr: Annotated[
        str | None,
        typer.Option("--asr", help="Whisper model for word errors: a CTranslate2 folder, or a size."),
    ] = None
    language: Annotated[
        str | None, typer.Option("--language", help="Language spoken, as Whisper names it.")
    ] = None
    wavlm: Annotated[
        str | None, typer.Option("--wavlm", help="Folder of a WavLM model, for SpeechBERTScore.")
    ] = None
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of the bootstrap behind the confidence intervals.")
    ] = 0

    def options(self) -> ScoringOptions:
        """For the library."""
        from dacse_cli.evaluation.metric import ScoringOptions

        return ScoringOptions(asr=self.asr, language=self.language, wavlm=self.wavlm, seed=self.seed)


@dataclass(frozen=True)
class Tables:
    """How the scores are shown."""

    published: Annotated[
        Literal["hifitts2"] | None,
        typer.Option("--published", help="Print the scores of a paper below the table."),
    ] = None
    same_set: Annotated[
        bool, typer.Option("--same-set", help="The recordings are those of the published table.")
    ] = False
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="LIST:COLUMN",
            help="Means by a property of the recordings; for example manifest.csv:snr or manifest.jsonl:snr.",
        ),
    ] = None
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write the scores of every file into this file.")
    ] = None
    markdown: Annotated[bool, typer.Option("--markdown", help="Tables as Markdown.")] = False
    json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object on stdout.")] = False

    def text(self, report: Report) -> str:
        """The text for standard output."""
        from dacse_cli.evaluation.tables import to_json, to_markdown, to_text

        if self.json:
            return to_json(report)
        return (to_markdown if self.markdown else to_text)(
            report, published=self.published, same_set=self.same_set
        )


@grouped
def evaluate(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="[CLEAN] ENHANCED...",
            show_default=False,
            help="The clean recordings, then a folder or file per system; with --no-reference only systems.",
        ),
    ],
    *,
    noisy: Annotated[
        Path | None, typer.Option("--noisy", help="The unprocessed recordings, to compare with.")
    ] = None,
    no_reference: Annotated[
        bool,
        typer.Option("--no-reference", help="Compute only metrics that need no clean recordings."),
    ] = False,
    scores: Scores,
    tables: Tables,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Number of processes.")] = 1,
    quiet: QuietOpt = False,
) -> None:
    """Score enhanced speech: DNSMOS, PESQ, STOI, SI-SDR, word error, speaker similarity and more.

    Recordings are matched by their path below their folder, without the suffix. Prints a table of means
    with 95 % confidence intervals. The metrics need [cyan]dacse\\[evaluate][/]; those that are not installed
    are named.

    [bold]Examples[/]

    dacse evaluate clean/ enhanced/ --noisy noisy/

    dacse evaluate clean/ nano/ other-tool/ --noisy noisy/ --csv scores.csv

    dacse evaluate clean/ enhanced/ --by manifest.csv:snr

    dacse evaluate --no-reference enhanced/ --noisy noisy/
    """
    from dacse_cli.cli.render.screen import Screen
    from dacse_cli.evaluation import run
    from dacse_cli.evaluation.tables import to_csv
    from dacse_cli.files.atomic import write_bytes_atomically

    clean, systems = (None, recordings) if no_reference else (recordings[0], recordings[1:])
    screen = Screen(json=tables.json, quiet=quiet)
    report = run.evaluate(
        clean,
        systems,
        noisy,
        metrics=scores.metrics.split(",") if scores.metrics else None,
        options=scores.options(),
        jobs=jobs,
        by=tables.by,
        on_file=lambda file: screen.scored(file.system, file.key),
    )
    if tables.csv is not None:
        write_bytes_atomically(tables.csv, to_csv(report).encode())
    screen.results.print(tables.text(report))
    report.check()
