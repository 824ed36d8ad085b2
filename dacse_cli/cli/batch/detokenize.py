"""`dacse detokenize`."""

from __future__ import annotations

from dacse_cli.cli.options import run
from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.networks import Networks
from dacse_cli.cli.options.sound import FormatOpt, RateOpt, sample_rate
from dacse_cli.config import SoundOptions


@grouped
def detokenize(
    inputs: run.InputsArg,
    *,
    output: run.OutOpt = None,
    networks: Networks,
    rate: RateOpt = "keep",
    audio_format: FormatOpt = "keep",
    batch: run.Batch,
    printing: run.OutputOptions,
) -> None:
    """Turn token files back into audio of the original's length, sample rate and channels.

    [bold]Examples[/]

    dacse detokenize speech.tokens.safetensors   writes speech.decoded.wav

    dacse detokenize codes/ -o audio/ --format flac
    """
    from dacse_cli.cli.batch.launch import launch

    sound = SoundOptions(rate=sample_rate(rate), format=audio_format)
    models = networks.options(printing.offline)
    request = batch.request("detokenize", inputs, output, models, sound=sound)
    launch(request, printing, dry_run=batch.dry_run)
