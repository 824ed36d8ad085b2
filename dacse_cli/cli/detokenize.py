"""`dacse detokenize`."""

from __future__ import annotations

from dacse_cli.cli import options as opt
from dacse_cli.config import DEFAULT_MODEL, ChunkOptions


def detokenize(
    inputs: opt.InputsArg,
    output: opt.OutOpt = None,
    model: opt.ModelOpt = DEFAULT_MODEL,
    codec: opt.CodecOpt = None,
    device: opt.DeviceOpt = "auto",
    rate: opt.RateOpt = "keep",
    audio_format: opt.FormatOpt = opt.AudioFormat.keep,
    filters: opt.FilterOpt = None,
    limit: opt.LimitOpt = None,
    overwrite: opt.OverwriteOpt = False,
    dry_run: opt.DryRunOpt = False,
    json: opt.JsonOpt = False,
    offline: opt.OfflineOpt = False,
    quiet: opt.QuietOpt = False,
    verbose: opt.VerboseOpt = False,
) -> None:
    """Turn token files back into audio of the original's length, sample rate and channels.

    [bold]Examples[/]

    dacse detokenize speech.tokens.safetensors   writes speech.decoded.wav

    dacse detokenize codes/ -o audio/ --format flac
    """
    from dacse_cli.cli.launch import launch
    from dacse_cli.pipeline.plan import Request

    request = Request(
        form="detokenize",
        inputs=tuple(inputs),
        output=output,
        models=opt.model_options(model, codec, device, opt.DType.auto, "auto", offline),
        chunk=ChunkOptions(),
        sound=opt.sound_options(rate=rate, audio_format=audio_format),
        overwrite=overwrite,
        filters=tuple(filters or ()),
        limit=limit,
    )
    launch(request, dry_run=dry_run, json=json, quiet=quiet, verbose=verbose)
