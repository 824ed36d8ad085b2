"""What comes out: channels, rate, format, how much is enhanced and by which way, how loud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import typer

from dacse_cli.cli.options.words import number_or_word, whole_number
from dacse_cli.config import PRESETS, Preset, SoundOptions, strength_of
from dacse_cli.errors import UsageError

_sound = partial(typer.Option, rich_help_panel="Sound")


ChannelsOpt = Annotated[
    Literal["keep", "mono"],
    _sound("--channels", help="keep: each channel on its own, equal channels once. mono: their mean."),
]
RateOpt = Annotated[
    str, _sound("--rate", metavar="keep|HZ", help="Sample rate of the output; keep is the input's.")
]
_FORMAT_HELP = "keep (the input's where it can be written, else wav), wav, flac, ogg, opus, mp3, m4a."
FormatOpt = Annotated[
    Literal["keep", "wav", "flac", "ogg", "opus", "mp3", "m4a"],
    _sound("--format", "-f", metavar="NAME", help=_FORMAT_HELP),
]


@dataclass(frozen=True)
class Sound:
    """All of it."""

    channels: ChannelsOpt = "keep"
    rate: RateOpt = "keep"
    audio_format: Annotated[
        Literal["keep", "wav", "flac", "ogg", "opus", "mp3", "m4a"] | None,
        _sound("--format", "-f", metavar="NAME", show_default="keep", help=_FORMAT_HELP),
    ] = None
    strength: Annotated[
        str | None,
        _sound(
            "--strength",
            "-s",
            metavar="NAME|SHARE",
            show_default="normal",
            help="gentle, normal, strong, or 0 (the input) to 1. gentle leaves a quarter of the input in; "
            "strong also lowers pauses, by up to 18 dB.",
        ),
    ] = None
    preset: Annotated[
        Literal["podcast", "interview", "archive", "corpus"] | None,
        _sound(
            "--preset",
            metavar="NAME",
            show_default=False,
            help=f"{', '.join(PRESETS)}. Sets strength, loudness and format, where they are not given: "
            f"{'; '.join(f'{name} {preset.describe()}' for name, preset in PRESETS.items())}.",
        ),
    ] = None
    mix: Annotated[
        float | None,
        _sound("--mix", metavar="SHARE", hidden=True, help="Deprecated: --strength takes a share, too."),
    ] = None
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
        Literal["gentle", "normal", "strong"] | None,
        _sound("--profile", hidden=True, help="Deprecated: --strength takes the same names."),
    ] = None
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
    limiter: Annotated[
        bool | None,
        _sound(
            "--limiter/--no-limiter",
            show_default="on with --preset",
            help="With --loudness: turn short peaks down, by up to 12 dB, so that the loudness is reached.",
        ),
    ] = None

    def options(self, remark: Callable[[str], None]) -> SoundOptions:
        """For the library; `remark` is told of options that have another name now. Raises `UsageError`."""
        preset = PRESETS[self.preset] if self.preset else Preset()
        profile, mix = self._amount(preset.strength, remark)
        loudness = number_or_word(self.loudness)
        return SoundOptions(
            channels=self.channels,
            rate=sample_rate(self.rate),
            format=self.audio_format or preset.format,
            mix=mix,
            guard=self.guard,
            profile=profile,
            loudness=preset.loudness if loudness is None else loudness,
            true_peak=self.true_peak,
            method=self.method,
            limiter=self.preset is not None if self.limiter is None else self.limiter,
        )

    def _amount(self, preset: str, remark: Callable[[str], None]) -> tuple[str, float]:
        """Profile and mix."""
        if self.mix is None and self.profile is None:
            return strength_of(self.strength or preset)
        if self.strength is not None:
            raise UsageError("--strength says what --mix and --profile said: give it alone")
        remark("--mix and --profile are deprecated, and go with the next version: use --strength")
        profile, share = strength_of(self.profile or preset)
        return profile, share if self.mix is None else self.mix


def sample_rate(value: str) -> int | None:
    """What `--rate` says. Raises `UsageError`."""
    return whole_number(value, "--rate", instead="keep")
