"""`dacse tokenize`."""

from __future__ import annotations

from typing import Annotated

import typer

from dacse_cli.cli import options as opt
from dacse_cli.config import DEFAULT_MODEL, ChunkOptions


def tokenize(
    inputs: opt.InputsArg,
    output: opt.OutOpt = None,
    codes_format: Annotated[
        opt.CodesFormat,
        typer.Option(
            "--format",
            "-f",
            help="dac is Descript's container.",
        ),
    ] = opt.CodesFormat.safetensors,
    model: opt.ModelOpt = DEFAULT_MODEL,
    codec: opt.CodecOpt = None,
    device: opt.DeviceOpt = "auto",
    channels: opt.ChannelsOpt = opt.ChannelPolicy.keep,
    filters: opt.FilterOpt = None,
    limit: opt.LimitOpt = None,
    overwrite: opt.OverwriteOpt = False,
    strict: opt.StrictOpt = False,
    shard: opt.ShardOpt = None,
    dry_run: opt.DryRunOpt = False,
    json: opt.JsonOpt = False,
    offline: opt.OfflineOpt = False,
    quiet: opt.QuietOpt = False,
    verbose: opt.VerboseOpt = False,
) -> None:
    """Turn audio into token files: the codec's codes, and what it takes to turn them back.

    [bold]Examples[/]

    dacse tokenize speech.wav                    writes speech.tokens.safetensors

    dacse tokenize corpus/ -o codes/ --codec descript/dac_44khz
    """
    from dacse_cli.cli.launch import launch
    from dacse_cli.pipeline.plan import Request
    from dacse_cli.pipeline.shards import parse_shard

    request = Request(
        form="tokenize",
        inputs=tuple(inputs),
        output=output,
        models=opt.model_options(model, codec, device, opt.DType.auto, "auto", offline),
        chunk=ChunkOptions(),
        sound=opt.sound_options(channels),
        codes_format=codes_format.value,
        overwrite=overwrite,
        strict=strict,
        filters=tuple(filters or ()),
        limit=limit,
        shard=parse_shard(shard) if shard else None,
    )
    launch(request, dry_run=dry_run, json=json, quiet=quiet, verbose=verbose)
