"""What comes out: channels, rate, format, how much is enhanced and by which way, how loud."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import typer

from dacse_cli.cli.options.words import number_or_word, whole_number
from dacse_cli.config import SoundOptions

_sound = partial(typer.Option, rich_help_panel="Sound")


ChannelsOpt = Annotated[
    Literal["keep", "mono"],
    _sound("--channels", help="keep: each channel on its own, equal channels once. mono: their mean."),
]
RateOpt = Annotated[
    str, _sound("--rate", metavar="keep|HZ", help="Sample rate of the output; keep is the input's.")
]
FormatOpt = Annotated[
    Literal["keep", "wav", "flac", "ogg", "opus", "mp3", "m4a"],
    _sound("--format", "-f", help="keep: the input's format where it can be written, else wav."),
]


@dataclass(frozen=True)
class Sound:
    """All of it."""

    channels: ChannelsOpt = "keep"
    rate: RateOpt = "keep"
    audio_format: FormatOpt = "keep"
    mix: Annotated[
        float,
        _sound("--mix", metavar="SHARE", help="1 is all enhanced, 0 the input; mixed sample by sample."),
    ] = 1.0
    method: Annotated[
        Literal["auto", "generate", "filter", "mask"],
        _sound(
            "--method",
            help="generate: the voice that the model writes. filter: the recording, filtered with that voice "
            "as guide. mask: the recording, filtered alone. Filters add nothing. auto: what suits the model.",
        ),
    ] = "auto"
    guard: Annotated[
        Literal["strict", "normal", "off"],
        _sound(
            "--guard",
            help="Check that each chunk says what was said, and try again where not. normal: then let the "
            "input through there, with a warning. strict: doubt sooner, and fail the file. off: take what "
            "comes. With --method filter it has nothing to do: nothing is added.",
        ),
    ] = "normal"
    profile: Annotated[
        Literal["gentle", "normal", "strong"],
        _sound(
            "--profile",
            help="gentle leaves a quarter of the input in; strong also lowers pauses, by up to 18 dB. "
            "--mix counts on top.",
        ),
    ] = "normal"
    loudness: Annotated[
        str | None,
        _sound(
            "--loudness",
            metavar="match|LUFS",
            show_default="the level as it comes",
            help="Bring the output to the input's loudness (match) or to a number, as -16. Measured by "
            "BS.1770.",
        ),
    ] = None
    true_peak: Annotated[
        float,
        _sound(
            "--true-peak",
            metavar="DB",
            help="With --loudness: no true peak above this; a loudness that needs one is missed, with a "
            "warning.",
        ),
    ] = -1.0

    def options(self) -> SoundOptions:
        """For the library. Raises `UsageError`."""
        return SoundOptions(
            channels=self.channels,
            rate=sample_rate(self.rate),
            format=self.audio_format,
            mix=self.mix,
            guard=self.guard,
            profile=self.profile,
            loudness=number_or_word(self.loudness),
            true_peak=self.true_peak,
            method=self.method,
        )


def sample_rate(value: str) -> int | None:
    """What `--rate` says. Raises `UsageError`."""
    return whole_number(value, "--rate", instead="keep")
