"""Each option that several commands share, once."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from dacse_cli.config import DEFAULT_CODEC, ModelOptions, SoundOptions
from dacse_cli.errors import UsageError

_MODELS, _CHUNKS, _SOUND, _RUN = "Models and device", "Chunks", "Sound", "Run"


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


class ChannelPolicy(str, Enum):
    """Choices of `--channels`."""

    keep = "keep"
    mono = "mono"


class GuardMode(str, Enum):
    """Choices of `--guard`."""

    strict = "strict"
    normal = "normal"
    off = "off"


class Method(str, Enum):
    """Choices of `--method`."""

    auto = "auto"
    generate = "generate"
    filter = "filter"


class AudioFormat(str, Enum):
    """Choices of `--format` where audio is written."""

    keep = "keep"
    wav = "wav"
    flac = "flac"
    ogg = "ogg"
    opus = "opus"
    mp3 = "mp3"
    m4a = "m4a"


class Profile(str, Enum):
    """Choices of `--profile`."""

    gentle = "gentle"
    normal = "normal"
    strong = "strong"


class CodesFormat(str, Enum):
    """Choices of `--format` where token files are written."""

    safetensors = "safetensors"
    npz = "npz"
    txt = "txt"
    dac = "dac"


def _number_or(word: str, option: str, value: str) -> int | None:
    """A whole number, or None for the word that stands for "decide for me"."""
    if value == word:
        return None
    try:
        return int(value)
    except ValueError:
        raise UsageError(f"{option} {value} is neither {word} nor a whole number") from None


InputsArg = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        show_default=False,
        help="Files, folders (searched recursively), patterns in quotes, URLs; - for standard input.",
    ),
]
ModelOpt = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        rich_help_panel=_MODELS,
        help="A Hub id, [cyan]id@revision[/], a local folder, or [cyan]nano[/] (built in, for any CPU).",
    ),
]
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
KVOpt = Annotated[
    KVFormat,
    typer.Option(
        "--kv",
        rich_help_panel=_MODELS,
        help="The language model's cache: int8 (CPUs) and fp8 (GPUs) take about half of bfloat16's memory.",
    ),
]
DeterministicOpt = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        rich_help_panel=_MODELS,
        help="The same bytes for a file whatever else is enhanced with it; slower.",
    ),
]
ChunkOpt = Annotated[
    float | None,
    typer.Option(
        "--chunk",
        metavar="SECONDS",
        rich_help_panel=_CHUNKS,
        show_default="what the model names, else 4.0",
        help="Seconds a chunk.",
    ),
]
OverlapOpt = Annotated[
    float,
    typer.Option(
        "--overlap",
        metavar="SHARE",
        rich_help_panel=_CHUNKS,
        help="Share of a chunk cross-faded with the next.",
    ),
]
ChannelsOpt = Annotated[
    ChannelPolicy,
    typer.Option(
        "--channels",
        rich_help_panel=_SOUND,
        help="keep: each channel on its own, equal channels once. mono: their mean.",
    ),
]
RateOpt = Annotated[
    str,
    typer.Option(
        "--rate",
        metavar="keep|HZ",
        rich_help_panel=_SOUND,
        help="Sample rate of the output; keep is the input's.",
    ),
]
FormatOpt = Annotated[
    AudioFormat,
    typer.Option(
        "--format",
        "-f",
        rich_help_panel=_SOUND,
        help="keep: the input's format where it can be written, else wav.",
    ),
]
MixOpt = Annotated[
    float,
    typer.Option(
        "--mix",
        metavar="SHARE",
        rich_help_panel=_SOUND,
        help="1 is all enhanced, 0 the input; mixed sample by sample.",
    ),
]
GuardOpt = Annotated[
    GuardMode,
    typer.Option(
        "--guard",
        rich_help_panel=_SOUND,
        help="Check that each chunk says what was said, and try again where not. normal: then let the input "
        "through there, with a warning. strict: doubt sooner, and fail the file. off: take what comes.",
    ),
]
MethodOpt = Annotated[
    Method,
    typer.Option(
        "--method",
        rich_help_panel=_SOUND,
        help="generate: the voice that the model writes. filter: the recording itself, each band turned down "
        "to where that voice has it; nothing is added. auto: what the model's card says, else generate.",
    ),
]
ProfileOpt = Annotated[
    Profile,
    typer.Option(
        "--profile",
        rich_help_panel=_SOUND,
        help="gentle leaves a quarter of the input in; strong also lowers pauses, by up to 18 dB. "
        "--mix counts on top.",
    ),
]
LoudnessOpt = Annotated[
    str | None,
    typer.Option(
        "--loudness",
        metavar="match|LUFS",
        rich_help_panel=_SOUND,
        show_default="the level as it comes",
        help="Bring the output to the input's loudness (match) or to a number, as -16. Measured by BS.1770.",
    ),
]
TruePeakOpt = Annotated[
    float,
    typer.Option(
        "--true-peak",
        metavar="DB",
        rich_help_panel=_SOUND,
        help="With --loudness: no true peak above this; a loudness that needs one is missed, with a warning.",
    ),
]
KeepMtimeOpt = Annotated[
    bool,
    typer.Option("--keep-mtime", rich_help_panel=_RUN, help="Give outputs the modification time of inputs."),
]
OverwriteOpt = Annotated[
    bool,
    typer.Option("--overwrite", rich_help_panel=_RUN, help="Redo outputs that are already there."),
]
StrictOpt = Annotated[
    bool,
    typer.Option(
        "--strict",
        rich_help_panel=_RUN,
        help="Fail recordings that are cut or damaged, instead of doing what can be read of them.",
    ),
]
DryRunOpt = Annotated[
    bool, typer.Option("--dry-run", rich_help_panel=_RUN, help="Print the plan and stop; writes nothing.")
]
ShardOpt = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        show_default=False,
        rich_help_panel=_RUN,
        help="Do part I of N of the inputs; slurm takes both from an array job. See `dacse status`.",
    ),
]
FilterOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="PATTERN",
        show_default=False,
        rich_help_panel=_RUN,
        help="Take only inputs whose path or name matches, such as '*_mic1.wav'; may be given several times.",
    ),
]
LimitOpt = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        show_default=False,
        rich_help_panel=_RUN,
        help="Take only the first N inputs: to try things out.",
    ),
]
ReportOpt = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="DIR",
        show_default=False,
        rich_help_panel=_RUN,
        help="Write a page to see and hear the result, index.html, and for scripts report.jsonl.",
    ),
]
JsonOpt = Annotated[
    bool,
    typer.Option(
        "--json", rich_help_panel=_RUN, help="One JSON object a file on stdout, then a summary object."
    ),
]
OfflineOpt = Annotated[
    bool,
    typer.Option(
        "--offline", rich_help_panel=_RUN, help="Touch no network (HF_HUB_OFFLINE=1 does the same)."
    ),
]
QuietOpt = Annotated[bool, typer.Option("--quiet", "-q", rich_help_panel=_RUN, help="Errors only.")]
VerboseOpt = Annotated[
    bool, typer.Option("--verbose", "-v", rich_help_panel=_RUN, help="Per-file detail and tracebacks.")
]
OutOpt = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", show_default="beside the input", help="A folder or, for one input, a file name."
    ),
]


def model_options(
    model: str,
    codec: str | None,
    device: str,
    dtype: DType,
    batch_size: str,
    offline: bool,
    deterministic: bool = False,
    kv: KVFormat = KVFormat.auto,
) -> ModelOptions:
    """`ModelOptions` from flags."""
    rows = _number_or("auto", "--batch-size", batch_size)
    return ModelOptions(model, codec, device, dtype.value, rows, offline, deterministic, kv.value)


def sound_options(
    channels: ChannelPolicy = ChannelPolicy.keep,
    rate: str = "keep",
    audio_format: AudioFormat = AudioFormat.keep,
    mix: float = 1.0,
    guard: GuardMode = GuardMode.normal,
    profile: Profile = Profile.normal,
    loudness: str | None = None,
    true_peak: float = -1.0,
    method: Method = Method.auto,
) -> SoundOptions:
    """`SoundOptions` from flags."""
    return SoundOptions(
        channels.value,
        _number_or("keep", "--rate", rate),
        audio_format.value,
        mix,
        guard.value,
        profile.value,
        _loudness(loudness),
        true_peak,
        method.value,
    )


def _loudness(value: str | None) -> str | float | None:
    """A number where it is one; what else it may be, `SoundOptions` knows."""
    try:
        return value if value is None else float(value)
    except ValueError:
        return value
