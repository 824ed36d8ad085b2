"""Options of all trainings: initial model, recipe, data, and what is printed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dacse_cli.cli.options.networks import CodecOpt
from dacse_cli.cli.options.run import OutputOptions

if TYPE_CHECKING:
    from dacse_cli.cli.render.screen import Screen
    from dacse_cli.training.runs.loop import Listener, StepReport, TrainingResult
    from dacse_cli.training.runs.recipe import Recipe

_data = partial(typer.Option, rich_help_panel="Data")
_model = partial(typer.Option, rich_help_panel="Model")
_run = partial(typer.Option, rich_help_panel="Run")

OutArg = Annotated[
    Path, typer.Argument(metavar="OUT", show_default=False, help="A folder for models, log and checkpoint.")
]
NoiseOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--noise",
        rich_help_panel="Data",
        show_default=False,
        help="Recordings of noise, mixed into clean speech on the fly; can be repeated.",
    ),
]
JobsOpt = Annotated[
    int,
    _run(
        "--jobs", "-j", min=0, help="Processes that read and mix batches ahead of time. 1: a thread, 0: none."
    ),
]


@dataclass(frozen=True)
class TrainingOptions:
    """The initial model, the recipe, the last stage, and the device."""

    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe", "-r", show_default="the published one", help="A TOML file with the settings."
        ),
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="TABLE.KEY=VALUE",
            show_default=False,
            help="Change one setting of the recipe; can be repeated.",
        ),
    ] = None
    size: Annotated[
        str | None,
        _model(
            "--size",
            show_default=False,
            help="A published size, with new weights; see [cyan]train plan[/].",
        ),
    ] = None
    config: Annotated[
        str | None, _model("--config", show_default=False, help="A config.json, with new weights.")
    ] = None
    start: Annotated[
        str | None,
        _model("--from", show_default=False, help="Start from a model: a Hub id, id@revision or a folder."),
    ] = None
    until: Annotated[
        str | None, _run("--until", metavar="STAGE", show_default="the last", help="Stop after this stage.")
    ] = None
    device: Annotated[
        str, _run("--device", help="auto, cuda, cuda:1, mps or cpu; with torchrun each process has its own.")
    ] = "auto"

    def read(self, kind: type[Recipe], *settings: str) -> Recipe:
        """The recipe, changed by --set and by `settings`. Raises `UsageError`."""
        from dacse_cli.training.runs.recipe import Origin, read_run_recipe

        origin = Origin(self.size, self.config, self.start)
        return read_run_recipe(kind, self.recipe, [*(self.settings or ()), *settings], origin)


@dataclass(frozen=True)
class Pairs:
    """The pairs to train on, and the codec that encodes them."""

    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            show_default=False,
            help="Pairs: a folder with noisy/ and clean/, as `dacse mix` writes it. With --noise also "
            "clean speech alone.",
        ),
    ]
    codec: CodecOpt = None
    noise: NoiseOpt = None
    rir: Annotated[
        list[str] | None,
        _data("--rir", show_default="simulated rooms", help="Recorded room impulse responses for --noise."),
    ] = None
    cache: Annotated[
        Path | None, _data("--cache", show_default="OUT/tokens", help="Folder for the encoded recordings.")
    ] = None
    jobs: JobsOpt = 1

    def given(self, output: Path) -> dict[str, Any]:
        """These options as fields of `training.lm.pairs.start.PairRequest`. Raises `NoInputError`."""
        from dacse_cli.cli.files import recordings
        from dacse_cli.training.sound.folders import clean_side

        return {
            "data": self.data,
            "codec": self.codec,
            "clean": recordings([str(clean_side(self.data))], output) if self.noise else (),
            "noise": recordings(self.noise or [], output),
            "rooms": recordings(self.rir or [], output),
            "cache": self.cache,
            "jobs": self.jobs,
        }


@dataclass(frozen=True)
class TrainingOutputOptions(OutputOptions):
    """For a training. Of several processes only the first prints anything but errors."""

    json: Annotated[bool, _run("--json", help="One JSON object per line of the log, then a summary.")] = False

    def screen(self, *, piped: bool = False) -> Screen:
        """The display of a training."""
        from dacse_cli.cli.render.screen import Screen

        first = int(os.environ.get("RANK", "0")) == 0
        return Screen(json=self.json and first, quiet=self.quiet or not first, verbose=self.verbose)

    def show(self, train: Callable[[Listener], TrainingResult]) -> None:
        """Call `train`, show its log, and print where the model is."""
        from dacse_cli.training.runs.loop import Listener

        screen = self.screen()
        with screen:
            outcome = train(
                Listener(
                    step=lambda report: _log(screen, report),
                    prepared=screen.prepared,
                    remark=screen.remark,
                    download=screen.download,
                )
            )
        _conclude(screen, outcome)


def _log(screen: Screen, report: StepReport) -> None:
    from dacse_cli.cli.render.text import measured

    text = measured(report.numbers)
    screen.trained(report.stage, report.step, report.steps, report.share, text)
    screen.results.record({"type": "step", **asdict(report)})


def _conclude(screen: Screen, outcome: TrainingResult) -> None:
    from dacse_cli.cli.render.text import clock, measured
    from dacse_cli.files.names import shown

    data: dict[str, Any] = {"type": "summary", **asdict(outcome), "model": str(outcome.model)}
    text = f"{outcome.steps} steps in {clock(outcome.elapsed)}  {measured(outcome.last)}".rstrip()
    screen.results.conclude(f"{text}\nmodel: {shown(str(outcome.model))}", data)
