"""Which networks run, where and how precisely, and how recordings are cut for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated

import typer

from dacse_cli.cli.options.words import whole_number
from dacse_cli.config import DEFAULT_CODEC, DEFAULT_MODEL, ChunkOptions, ModelOptions

_MODELS, _CHUNKS = "Models and device", "Chunks"


class DType(str, Enum):
    """Choices of `--dtype`."""

    auto = "auto"
    bfloat16 = "bfloat16"
    float16 = "float16"
    float32 = "float32"


class KVFormat(str, Enum):
    """Choices of `--kv`."""

    auto = "auto"
    int8 = "int8"
    fp8 = "fp8"


CodecOpt = Annotated[
    str | None,
    typer.Option(
        "--codec",
        rich_help_panel=_MODELS,
        show_default=f"what the model names, else {DEFAULT_CODEC}",
        help="Hub id or local folder of a transformers DacModel; or Descript's own .pth (an extra).",
    ),
]
DeviceOpt = Annotated[
    str,
    typer.Option(
        "--device",
        rich_help_panel=_MODELS,
        help="auto, cuda, cuda:1, mps or cpu; several, as cuda:0,cuda:1; or all.",
    ),
]
DTypeOpt = Annotated[
    DType,
    typer.Option(
        "--dtype",
        rich_help_panel=_MODELS,
        help="Precision of the language model; auto: bfloat16 where that is fast, else float32.",
    ),
]
BatchOpt = Annotated[
    str,
    typer.Option(
        "--batch-size",
        metavar="auto|N",
        rich_help_panel=_MODELS,
        help="Chunks generated at once, over all files; halves itself when memory runs out.",
    ),
]


@dataclass(frozen=True)
class Networks:
    """What a command that only codes needs to know."""

    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            rich_help_panel=_MODELS,
            help="A Hub id, [cyan]id@revision[/], a local folder, or [cyan]nano[/] (built in, for any CPU).",
        ),
    ] = DEFAULT_MODEL
    codec: CodecOpt = None
    device: DeviceOpt = "auto"

    def options(self, offline: bool) -> ModelOptions:
        """For the library."""
        return ModelOptions(self.model, self.codec, self.device, offline=offline)


@dataclass(frozen=True)
class Generation(Networks):
    """What a command that generates needs to know besides."""

    dtype: DTypeOpt = DType.auto
    batch_size: BatchOpt = "auto"
    kv: Annotated[
        KVFormat,
        typer.Option(
            "--kv",
            rich_help_panel=_MODELS,
            help="The language model's cache: int8 (CPUs) and fp8 (GPUs) take about half of bfloat16's memory.",
        ),
    ] = KVFormat.auto
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            rich_help_panel=_MODELS,
            help="The same bytes for a file whatever else is enhanced with it; slower.",
        ),
    ] = False

    def options(self, offline: bool) -> ModelOptions:
        """For the library. Raises `UsageError`."""
        return replace(
            super().options(offline),
            dtype=self.dtype.value,
            batch_size=batch_rows(self.batch_size),
            deterministic=self.deterministic,
            kv=self.kv.value,
        )


@dataclass(frozen=True)
class Chunks:
    """How a recording is cut."""

    chunk: Annotated[
        float | None,
        typer.Option(
            "--chunk",
            metavar="SECONDS",
            rich_help_panel=_CHUNKS,
            show_default="what the model names, else 4.0",
            help="Seconds a chunk.",
        ),
    ] = None
    overlap: Annotated[
        float,
        typer.Option(
            "--overlap",
            metavar="SHARE",
            rich_help_panel=_CHUNKS,
            help="Share of a chunk cross-faded with the next.",
        ),
    ] = 0.05

    def options(self) -> ChunkOptions:
        """For the library."""
        return ChunkOptions(self.chunk, self.overlap)


def batch_rows(value: str) -> int | None:
    """What `--batch-size` says. Raises `UsageError`."""
    return whole_number(value, "--batch-size", instead="auto")
