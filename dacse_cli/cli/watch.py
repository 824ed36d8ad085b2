"""`dacse watch`."""

from __future__ import annotations

from typing import Annotated

import typer

from dacse_cli.cli import options as opt
from dacse_cli.config import DEFAULT_MODEL, ChunkOptions


def watch(
    folder: Annotated[str, typer.Argument(metavar="IN", show_default=False, help="The folder to watch.")],
    output: Annotated[str, typer.Argument(metavar="OUT", show_default=False, help="A folder.")],
    every: Annotated[
        float, typer.Option("--every", min=0.1, metavar="SECONDS", help="How often the folder is looked at.")
    ] = 2.0,
    settled: Annotated[
        float,
        typer.Option(
            "--settled", min=0, metavar="SECONDS", help="A file is whole when nobody wrote to it for so long."
        ),
    ] = 5.0,
    model: opt.ModelOpt = DEFAULT_MODEL,
    codec: opt.CodecOpt = None,
    device: opt.DeviceOpt = "auto",
    dtype: opt.DTypeOpt = opt.DType.auto,
    batch_size: opt.BatchOpt = "auto",
    channels: opt.ChannelsOpt = opt.ChannelPolicy.keep,
    rate: opt.RateOpt = "keep",
    audio_format: opt.FormatOpt = opt.AudioFormat.keep,
    mix: opt.MixOpt = 1.0,
    method: opt.MethodOpt = opt.Method.auto,
    filters: opt.FilterOpt = None,
    guard: opt.GuardOpt = opt.GuardMode.normal,
    profile: opt.ProfileOpt = opt.Profile.normal,
    loudness: opt.LoudnessOpt = None,
    true_peak: opt.TruePeakOpt = -1.0,
    keep_mtime: opt.KeepMtimeOpt = False,
    strict: opt.StrictOpt = False,
    json: opt.JsonOpt = False,
    offline: opt.OfflineOpt = False,
    quiet: opt.QuietOpt = False,
    verbose: opt.VerboseOpt = False,
) -> None:
    """Enhance what appears in a folder, until Ctrl-C.

    Each time new files are at rest, they are enhanced as [cyan]dacse enhance IN OUT[/] would do it: finished
    ones are skipped, sub-folders are mirrored. The models are loaded for each such run.

    [bold]Examples[/]

    dacse watch inbox/ clean/

    dacse watch inbox/ clean/ --model nano --settled 30 --json
    """
    from pathlib import Path

    from dacse_cli.cli.render import Screen
    from dacse_cli.errors import UsageError
    from dacse_cli.pipeline import watching
    from dacse_cli.pipeline.outcome import Summary
    from dacse_cli.pipeline.plan import Request
    from dacse_cli.pipeline.run import run

    if not Path(folder).is_dir():
        raise UsageError(f"{folder} is no folder", hint="Make it first; files may come later.")
    request = Request(
        form="enhance",
        inputs=(folder,),
        output=output,
        models=opt.model_options(model, codec, device, dtype, batch_size, offline),
        chunk=ChunkOptions(),
        sound=opt.sound_options(
            channels, rate, audio_format, mix, guard, profile, loudness, true_peak, method
        ),
        strict=strict,
        filters=tuple(filters or ()),
        keep_mtime=keep_mtime,
    ).check()
    screen = Screen(json=json, quiet=quiet, verbose=verbose)
    screen.remark(f"watching {folder}; Ctrl-C ends it")

    def one_run(todo: Request) -> Summary:
        with Screen(json=json, quiet=quiet, verbose=verbose) as moving:
            return run(todo, moving.tell, moving.download)

    for summary in watching.watch(request, one_run, every=every, settled=settled):
        screen.summary(summary)
        if summary.fatal is not None or summary.stopped_by is not None:
            raise typer.Exit(summary.exit_code)
