"""What comes out: channels, rate, format, how much is enhanced and by which way, how loud."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import typer

from dacse_cli.cli.options.words import number_or_word, whole_number
from dacse_cli.config import SoundOptions

_SOUND = "Sound"


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


@dataclass(frozen=True)
class Sound:
    """All of it."""

    channels: ChannelsOpt = ChannelPolicy.keep
    rate: RateOpt = "keep"
    audio_format: FormatOpt = AudioFormat.keep
    mix: Annotated[
        float,
        typer.Option(
            "--mix",
            metavar="SHARE",
            rich_help_panel=_SOUND,
            help="1 is all enhanced, 0 the input; mixed sample by sample.",
        ),
    ] = 1.0
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            rich_help_panel=_SOUND,
            help="generate: the voice that the model writes. filter: the recording itself, each band turned "
            "down to where that voice has it; nothing is added. auto: what the model's card says, else "
            "generate.",
        ),
    ] = Method.auto
    guard: Annotated[
        GuardMode,
        typer.Option(
            "--guard",
            rich_help_panel=_SOUND,
            help="Check that each chunk says what was said, and try again where not. normal: then let the "
            "input through there, with a warning. strict: doubt sooner, and fail the file. off: take what "
            "comes.",
        ),
    ] = GuardMode.normal
    profile: Annotated[
        Profile,
        typer.Option(
            "--profile",
            rich_help_panel=_SOUND,
            help="gentle leaves a quarter of the input in; strong also lowers pauses, by up to 18 dB. "
            "--mix counts on top.",
        ),
    ] = Profile.normal
    loudness: Annotated[
        str | None,
        typer.Option(
            "--loudness",
            metavar="match|LUFS",
            rich_help_panel=_SOUND,
            show_default="the level as it comes",
            help="Bring the output to the input's loudness (match) or to a number, as -16. Measured by "
            "BS.1770.",
        ),
    ] = None
    true_peak: Annotated[
        float,
        typer.Option(
            "--true-peak",
            metavar="DB",
            rich_help_panel=_SOUND,
            help="With --loudness: no true peak above this; a loudness that needs one is missed, with a "
            "warning.",
        ),
    ] = -1.0

    def options(self) -> SoundOptions:
        """For the library. Raises `UsageError`."""
        return SoundOptions(
            channels=self.channels.value,
            rate=sample_rate(self.rate),
            format=self.audio_format.value,
            mix=self.mix,
            guard=self.guard.value,
            profile=self.profile.value,
            loudness=number_or_word(self.loudness),
            true_peak=self.true_peak,
            method=self.method.value,
        )


def sample_rate(value: str) -> int | None:
    """What `--rate` says. Raises `UsageError`."""
    return whole_number(value, "--rate", instead="keep")
