"""Options: models, device, precision, and the chunks into which recordings are cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal

import typer

from dacse_cli.cli.options.words import whole_number
from dacse_cli.config import AUTO_MODEL, DEFAULT_CODEC, DEFAULT_MODEL, ChunkOptions, ModelOptions

_network = partial(typer.Option, rich_help_panel="Models and device")
_chunk = partial(typer.Option, rich_help_panel="Chunks")


CodecOpt = Annotated[
    str | None,
    _network(
        "--codec",
        show_default=f"the model's own, else {DEFAULT_CODEC}",
        help="Hub id or folder of a DacModel, speech VAE or units codec; or a published .pth or .pt file.",
    ),
]
DeviceOpt = Annotated[
    str,
    _network(
        "--device", help="auto, cuda, cuda:1, mps, cpu; a list such as cuda:0,cuda:1; or all, every GPU."
    ),
]
DTypeOpt = Annotated[
    Literal["auto", "bfloat16", "float16", "float32"],
    _network(
        "--dtype",
        help="Precision of the language model; auto: bfloat16 where that is fast, else float32. With "
        "float32, and with --deterministic, the codec decodes on a GPU without TF32.",
    ),
]
BatchOpt = Annotated[
    str,
    _network(
        "--batch-size",
        metavar="auto|N",
        help="Chunks generated at once, over all files; halved when memory runs out.",
    ),
]


@dataclass(frozen=True)
class Networks:
    """Options of commands that only encode or decode."""

    model: Annotated[
        str,
        _network(
            "--model",
            "-m",
            help="A Hub id, a folder, or [cyan]nano[/] (built in). "
            "A revision of a Hub id is [cyan]id@revision[/].",
        ),
    ] = DEFAULT_MODEL
    codec: CodecOpt = None
    device: DeviceOpt = "auto"

    def options(self, offline: bool) -> ModelOptions:
        """For the library."""
        return ModelOptions(self.model, self.codec, self.device, offline=offline)


@dataclass(frozen=True)
class Generation(Networks):
    """Further options of commands that enhance."""

    model: Annotated[
        str,
        _network(
            "--model",
            "-m",
            help="auto, nano (built in), a Hub id, a folder. id@revision is a Hub id's revision. "
            f"auto: {DEFAULT_MODEL} if there is a GPU, or if it is in the cache and --device is given; "
            "else nano.",
        ),
    ] = AUTO_MODEL

    dtype: DTypeOpt = "auto"
    batch_size: BatchOpt = "auto"
    kv: Annotated[
        Literal["auto", "int8", "fp8"],
        _network(
            "--kv",
            help="The language model's cache: int8 (CPUs) and fp8 (GPUs) take about half of bfloat16's "
            "memory.",
        ),
    ] = "auto"
    beam: Annotated[
        int | None,
        _network(
            "--beam",
            metavar="N",
            show_default="the model's own",
            help="Hypotheses of SET's beam search; 1 is greedy search.",
        ),
    ] = None
    expansion: Annotated[
        Literal["ranked", "best"] | None,
        _network(
            "--expansion",
            show_default="the model's own",
            help="How SET's beam search proposes the codes of a frame. ranked: the n-th best code of "
            "every codebook, as published. best: the most likely frames.",
        ),
    ] = None
    deterministic: Annotated[
        bool,
        _network(
            "--deterministic", help="Make the bytes of an output independent of the other inputs; slower."
        ),
    ] = False
    second_opinion: Annotated[
        str | None,
        _network(
            "--second-opinion",
            metavar="WHISPER",
            show_default=False,
            help="Recognise the words of input and output, where the input is intelligible; warn where "
            "they differ, or with --guard strict fail the file. Whisper as a CTranslate2 folder, or a size "
            "such as tiny.en. Needs the extra dacse\\[asr].",
        ),
    ] = None

    def options(self, offline: bool, remark: Callable[[str], None] = lambda text: None) -> ModelOptions:
        """For the library; `remark` is called with a line about the chosen model. Raises `UsageError`."""
        from dacse_cli.hub.choice import choose_model

        choice = choose_model(self.model, self.device, offline=offline)
        if choice.reason:
            remark(choice.describe())
        return replace(
            super().options(offline),
            model=choice.model,
            dtype=self.dtype,
            batch_size=batch_rows(self.batch_size),
            deterministic=self.deterministic,
            kv=self.kv,
            beam=self.beam,
            expansion=self.expansion,
            second_opinion=self.second_opinion,
        )


@dataclass(frozen=True)
class Chunks:
    """How a recording is cut into chunks."""

    chunk: Annotated[
        float | None,
        _chunk(
            "--chunk",
            metavar="SECONDS",
            show_default="the model's own, else 4.0",
            help="Length of a chunk in seconds.",
        ),
    ] = None
    overlap: Annotated[
        float, _chunk("--overlap", metavar="SHARE", help="Share of a chunk cross-faded with the next.")
    ] = 0.05

    def options(self) -> ChunkOptions:
        """For the library."""
        return ChunkOptions(self.chunk, self.overlap)


def batch_rows(value: str) -> int | None:
    """The value of `--batch-size`; None for auto. Raises `UsageError`."""
    return whole_number(value, "--batch-size", instead="auto")
