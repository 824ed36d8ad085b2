"""`dacse enhance`."""

from __future__ import annotations

from typing import Annotated

import typer

from dacse_cli.cli import options as opt
from dacse_cli.config import DEFAULT_MODEL, ChunkOptions


def enhance(
    inputs: opt.InputsArg,
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT",
            show_default=False,
            help="A folder, a URL; with one input file also a file name, or - for a pipe.",
        ),
    ],
    model: opt.ModelOpt = DEFAULT_MODEL,
    codec: opt.CodecOpt = None,
    device: opt.DeviceOpt = "auto",
    dtype: opt.DTypeOpt = opt.DType.auto,
    batch_size: opt.BatchOpt = "auto",
    kv: opt.KVOpt = opt.KVFormat.auto,
    deterministic: opt.DeterministicOpt = False,
    chunk: opt.ChunkOpt = None,
    overlap: opt.OverlapOpt = 0.05,
    channels: opt.ChannelsOpt = opt.ChannelPolicy.keep,
    rate: opt.RateOpt = "keep",
    audio_format: opt.FormatOpt = opt.AudioFormat.keep,
    mix: opt.MixOpt = 1.0,
    method: opt.MethodOpt = opt.Method.auto,
    filters: opt.FilterOpt = None,
    limit: opt.LimitOpt = None,
    guard: opt.GuardOpt = opt.GuardMode.normal,
    profile: opt.ProfileOpt = opt.Profile.normal,
    loudness: opt.LoudnessOpt = None,
    true_peak: opt.TruePeakOpt = -1.0,
    keep_mtime: opt.KeepMtimeOpt = False,
    overwrite: opt.OverwriteOpt = False,
    strict: opt.StrictOpt = False,
    shard: opt.ShardOpt = None,
    report: opt.ReportOpt = None,
    dry_run: opt.DryRunOpt = False,
    json: opt.JsonOpt = False,
    offline: opt.OfflineOpt = False,
    quiet: opt.QuietOpt = False,
    verbose: opt.VerboseOpt = False,
) -> None:
    """Enhance noisy speech: audio (or token files) in, enhanced audio (or token files) out.

    The output has the input's name, length, sample rate and channels. When the command is run again finished
    files are skipped and finished chunks of the others taken over, so a stopped run goes on where it was.

    [bold]Examples[/]

    dacse enhance in/ out/

    dacse enhance talk.wav clean.flac --model nano

    cat talk.wav | dacse enhance - - > clean.wav

    dacse enhance in/ out/ --limit 5 --dry-run

    dacse enhance in/ out/ --report report/      and then open report/index.html

    dacse enhance "takes/**/*.wav" out/ --mix 0.8 --format flac

    dacse enhance s3://bucket/in s3://bucket/out

    dacse enhance talks/ out/ --loudness -16 --keep-mtime
    """
    from dacse_cli.cli.launch import launch
    from dacse_cli.pipeline.plan import Request
    from dacse_cli.pipeline.shards import parse_shard

    request = Request(
        form="enhance",
        inputs=tuple(inputs),
        output=output,
        models=opt.model_options(model, codec, device, dtype, batch_size, offline, deterministic, kv),
        chunk=ChunkOptions(chunk, overlap),
        sound=opt.sound_options(
            channels, rate, audio_format, mix, guard, profile, loudness, true_peak, method
        ),
        overwrite=overwrite,
        strict=strict,
        filters=tuple(filters or ()),
        limit=limit,
        keep_mtime=keep_mtime,
        shard=parse_shard(shard) if shard else None,
    )
    launch(request, dry_run=dry_run, json=json, quiet=quiet, verbose=verbose, report=report)
