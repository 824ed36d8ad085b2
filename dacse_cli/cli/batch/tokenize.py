"""`dacse tokenize`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from dacse_cli.cli.options import run
from dacse_cli.cli.options.grouped import grouped
from dacse_cli.cli.options.networks import Networks
from dacse_cli.cli.options.sound import ChannelsOpt
from dacse_cli.config import SoundOptions


@grouped
def tokenize(
    inputs: run.InputsArg,
    *,
    output: run.OutOpt = None,
    codes_format: Annotated[
        Literal["safetensors", "npz", "txt", "dac"],
        typer.Option("--format", "-f", help="dac is Descript's container."),
    ] = "safetensors",
    latents: Annotated[
        Literal["float32", "float16"] | None,
        typer.Option(
            "--latents",
            show_default="codes, or float32 where a codec has latents only",
            help="Continuous latents instead of codes (of a DAC, before quantisation), stored in this type.",
        ),
    ] = None,
    quantised: Annotated[
        bool,
        typer.Option(
            "--quantised", help="With --latents: after quantisation, the vectors of all codebooks summed."
        ),
    ] = False,
    networks: Networks,
    channels: ChannelsOpt = "keep",
    batch: run.Batch,
    strict: run.StrictOpt = False,
    shard: run.ShardOpt = None,
    printing: run.OutputOptions,
) -> None:
    """Turn audio into token files: the codec's codes or latents, and what decoding them needs.

    Without --model and --codec, the codec of the released model is used and, if need be, downloaded;
    [cyan]--model nano[/] needs no network.

    [bold]Examples[/]

    dacse tokenize speech.wav --model nano       writes speech.tokens.safetensors

    dacse tokenize corpus/ -o codes/ --codec descript/dac_44khz

    dacse tokenize speech.wav --latents float16  writes speech.latents.safetensors
    """
    from dacse_cli.cli.batch.launch import launch
    from dacse_cli.pipeline.request.shards import parse_shard

    request = batch.request(
        "tokenize",
        inputs,
        output,
        networks.options(printing.offline),
        sound=SoundOptions(channels),
        codes_format=codes_format,
        latents=latents,
        quantised=quantised,
        strict=strict,
        shard=parse_shard(shard) if shard else None,
    )
    launch(request, printing, dry_run=batch.dry_run)
