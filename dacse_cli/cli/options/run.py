"""Options: which files are read and written, and what is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dacse_cli.cli.usage import with_options
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions

if TYPE_CHECKING:
    from dacse_cli.cli.render.screen import Screen
    from dacse_cli.pipeline.request.request import Request

_run = partial(typer.Option, rich_help_panel="Run")

InputsArg = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        show_default=False,
        help="Files, folders (searched recursively), patterns in quotes, URLs; - for standard input.",
    ),
]
OutOpt = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        show_default="beside the input",
        help="A folder, a file, or {stem}_16k.{ext}.",
    ),
]
FilterOpt = Annotated[
    list[str] | None,
    _run(
        "--filter",
        metavar="PATTERN",
        show_default=False,
        help="Process only inputs whose path or name matches, such as '*_mic1.wav'; can be repeated.",
    ),
]
ShardOpt = Annotated[
    str | None,
    _run(
        "--shard",
        metavar="I/N",
        show_default=False,
        help="Process part I of N of the inputs; slurm: part of an array job. See `dacse status`.",
    ),
]
KeepMtimeOpt = Annotated[bool, _run("--keep-mtime", help="Give outputs the modification time of inputs.")]
StrictOpt = Annotated[
    bool,
    _run(
        "--strict",
        help="Report cut or damaged recordings as failed, instead of enhancing what can be read of them.",
    ),
]
JsonOpt = Annotated[bool, _run("--json", help="JSON on standard output, one object per line.")]
OfflineOpt = Annotated[bool, _run("--offline", help="Do not use the network; like HF_HUB_OFFLINE=1.")]
QuietOpt = Annotated[bool, _run("--quiet", "-q", help="Print only errors.")]
VerboseOpt = Annotated[bool, _run("--verbose", "-v", help="Print details of every file, and tracebacks.")]


@dataclass(frozen=True)
class Batch:
    """Which inputs are processed, and whether outputs are written."""

    filters: FilterOpt = None
    limit: Annotated[
        int | None,
        _run(
            "--limit",
            metavar="N",
            show_default=False,
            help="Process only the first N inputs, for a trial.",
        ),
    ] = None
    overwrite: Annotated[bool, _run("--overwrite", help="Replace existing outputs.")] = False
    dry_run: Annotated[bool, _run("--dry-run", help="Print the plan, write nothing.")] = False

    def request(
        self, form: str, inputs: Sequence[str], output: str | None, models: ModelOptions, **options: Any
    ) -> Request:
        """The request for the library; `options` are further fields of `Request`."""
        from dacse_cli.pipeline.request.naming import split_pattern
        from dacse_cli.pipeline.request.request import Request
        from dacse_cli.pipeline.wire.messages import Form

        output, pattern = split_pattern(output)
        options = {"chunk": ChunkOptions(), "sound": SoundOptions(), **options}
        return Request(
            form=Form(form),
            inputs=tuple(inputs),
            output=output,
            pattern=pattern,
            models=models,
            filters=tuple(self.filters or ()),
            limit=self.limit,
            overwrite=self.overwrite,
            **options,
        )


@dataclass(frozen=True)
class OutputOptions:
    """What a command prints, and whether it may use the network."""

    json: JsonOpt = False
    offline: OfflineOpt = False
    quiet: QuietOpt = False
    verbose: VerboseOpt = False

    def remark(self, text: str) -> None:
        """Print a line on standard error, unless --quiet is given."""
        if not self.quiet:
            typer.echo(f"dacse: {with_options(text)}", err=True)

    def screen(self, *, piped: bool = False) -> Screen:
        """The display of a run; for `piped` see `Screen`."""
        from dacse_cli.cli.render.screen import Screen

        return Screen(json=self.json, quiet=self.quiet, verbose=self.verbose, piped=piped)
